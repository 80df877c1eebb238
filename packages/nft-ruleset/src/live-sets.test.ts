import { describe, expect, test } from "vitest";
import { kernelJson, type ListedObject, listedObjects, timedElement } from "../testing/kernel-json.ts";
import { DOWN, UP, WITH_LEASES, WITH_PORTS, WITH_RESOLVER } from "../testing/sample-policies.ts";
import { parseIpRange } from "./ip-range.ts";
import { readLiveSets } from "./live-sets.ts";

const ours = { family: "inet", table: "terok_shield" };

describe("readLiveSets", () => {
  test("reads revision, counters, and which addresses are learned for how long", () => {
    const objects = listedObjects(WITH_PORTS, DOWN).map((object) =>
      object.set?.name === "kept_1_v6"
        ? { set: { ...object.set, elem: [{ elem: { val: "2001:db8::1", expires: 60 } }] } }
        : object,
    );
    const live = readLiveSets(kernelJson(objects));
    expect(live.revision).toBe(1);
    expect([...live.learned.keys()].sort()).toEqual(
      ["dns", "dns_1", "dns_2", "kept", "kept_1", "kept_2"]
        .flatMap((set) => [`${set}_v4`, `${set}_v6`])
        .sort(),
    );
    expect(live.learned.get("kept_1_v6")).toEqual([{ ...parseIpRange("2001:db8::1"), expiresSeconds: 60 }]);
    expect(live.learned.get("dns_v4")).toEqual([]);
    expect(Object.keys(live.counters)).toEqual([
      "allowed",
      "bypassed",
      "refused_blocked",
      "refused_denied",
      "refused_private",
      "logged_allowed",
      "logged_bypass",
      "logged_blocked",
      "logged_denied",
      "logged_private",
      "refused_queries",
      "dns_asked",
      "dns_answered",
      "dns_missing",
      "dns_refused",
    ]);
    expect(live.counters.bypassed).toEqual({ packets: 2, bytes: 14 });
  });

  test("leaves out sets that hold what the policy says, and other tables", () => {
    const foreign = { set: { family: "ip", table: "terok_shield", name: "dns_v4", timeout: 9, elem: [] } };
    const other = { set: { family: "inet", table: "other", name: "dns_v4", timeout: 9, elem: [] } };
    expect(readLiveSets(kernelJson([foreign, other])).learned.size).toBe(0);
    const fixed = { ...WITH_RESOLVER, learned: { kind: "fixed", destinations: [] } } as const;
    expect(readLiveSets(kernelJson(listedObjects(fixed, UP))).learned.size).toBe(0);
    expect([...readLiveSets(kernelJson(listedObjects(WITH_LEASES, UP))).learned.keys()].sort()).toEqual(
      ["dns_3", "dns_4", "dns"].flatMap((set) => [`${set}_v4`, `${set}_v6`]).sort(),
    );
  });

  test.each<[string, ListedObject[], number | undefined]>([
    ["no table", [], undefined],
    ["half of a change", [chain("revision_partial")], undefined],
    ["two of them", [chain("revision_4"), chain("revision_5")], undefined],
    ["in another table", [{ chain: { ...ours, table: "other", name: "revision_4" } }], undefined],
    ["none that we write", [chain("revision_04x")], undefined],
    ["one", [chain("output"), chain("revision_4")], 4],
  ])("revision: %s", (_, objects, revision) => {
    expect(readLiveSets(kernelJson(objects)).revision).toBe(revision);
  });

  test.each([
    ["no end", "198.51.100.1"],
    ["no number", { elem: { val: "198.51.100.1", expires: "9" } }],
    ["more than an address", timedElement({ prefix: { addr: "198.51.100.0", len: 24 } }, 9)],
    ["no address", timedElement("198.51.100.256", 9)],
    ["ports", timedElement({ concat: ["198.51.100.1", "tcp", 443] }, 9)],
    ["nothing", null],
  ])("an element with %s was not learned", (_, element) => {
    const set = { ...ours, name: "dns_v4", timeout: 1800, elem: [element, timedElement("198.51.100.7", 9)] };
    expect(readLiveSets(kernelJson([{ set }])).learned.get("dns_v4")).toEqual([
      { ...parseIpRange("198.51.100.7"), expiresSeconds: 9 },
    ]);
  });

  test.each(["dns_0_v4", "dns_01_v4", "dns_v5", "xdns_v4", "dns_v4x", "deny_v4"])(
    "%s is no learned set",
    (name) => {
      const set = { ...ours, name, timeout: 1800, elem: [timedElement("198.51.100.7", 9)] };
      expect(readLiveSets(kernelJson([{ set }])).learned.size).toBe(0);
    },
  );

  test("a counter that is no count is none", () => {
    const counters = [-1, 1.5, "1", undefined, 2 ** 60].map((packets, index) => ({
      counter: { ...ours, name: `c${index}`, packets, bytes: 1 },
    }));
    const json = JSON.stringify({ nftables: counters });
    expect(readLiveSets(json).counters).toEqual({});
  });

  test("what is no listing is an error", () => {
    expect(() => readLiveSets("Operation not permitted")).toThrow("Unexpected token");
  });
});

function chain(name: string): ListedObject {
  return { chain: { ...ours, name } };
}
