import { describe, expect, test } from "vitest";
import { kernelJson, type ListedObject, listedObjects } from "../testing/kernel-json.ts";
import { MODES, NOTHING_ALLOWED, UP, WITH_RESOLVER } from "../testing/sample-policies.ts";
import { parseIpRange } from "./ip-range.ts";
import { readShieldState } from "./shield-state.ts";

const objects = listedObjects(WITH_RESOLVER, UP);
const DIFFERS = "the kernel's rules are not what policy says: ";

describe("readShieldState", () => {
  test.each(MODES)("the rules of mode %j are that mode", (mode) => {
    expect(readShieldState(kernelJson(listedObjects(WITH_RESOLVER, mode)), WITH_RESOLVER)).toEqual(mode);
  });

  test("no rules at all are inactive", () => {
    expect(readShieldState(kernelJson([]), WITH_RESOLVER)).toEqual({ kind: "inactive" });
  });

  test("what is not a listing is an error", () => {
    expect(readShieldState("Operation not permitted", WITH_RESOLVER)).toEqual({
      kind: "error",
      reason: expect.stringMatching(/^the kernel's rules cannot be read: /),
    });
  });

  test.each([
    {
      what: "an address that policy has is not there",
      policy: { ...WITH_RESOLVER, allow: [...WITH_RESOLVER.allow, parseIpRange("9.9.9.9")] },
      named: "set allow_v4",
    },
    {
      what: "an address is there that policy has not",
      policy: { ...WITH_RESOLVER, allow: [] },
      named: "set allow_v4, set allow_v6",
    },
    {
      what: "another upstream",
      policy: { ...WITH_RESOLVER, upstream: parseIpRange("10.0.2.4") },
      named: "chain output, chain input",
    },
    {
      what: "the policy of another container",
      policy: NOTHING_ALLOWED,
      named: "set deny_v4, set allow_v4, set deny_v6, set allow_v6, chain output",
    },
  ])("$what: an error", ({ policy, named }) => {
    expect(readShieldState(kernelJson(objects), policy)).toEqual({
      kind: "error",
      reason: `${DIFFERS}${named}`,
    });
  });

  test.each(objects.map((object) => ({ object, what: JSON.stringify(object).slice(0, 100) })))(
    "without $what it is not up",
    ({ object }) => {
      expect(stateOf(objects.filter((other) => other !== object)).kind).toBe("error");
    },
  );

  test.each<[string, ListedObject]>([
    [
      "a rule",
      { rule: { family: "inet", table: "terok_shield", chain: "output", expr: [{ accept: null }] } },
    ],
    [
      "a chain",
      {
        chain: {
          family: "inet",
          table: "terok_shield",
          name: "x",
          type: "filter",
          hook: "output",
          prio: -1,
          policy: "accept",
        },
      },
    ],
    [
      "a route chain of another table",
      {
        chain: {
          family: "ip",
          table: "x",
          name: "x",
          type: "route",
          hook: "output",
          prio: -150,
          policy: "accept",
        },
      },
    ],
    ["a set", { set: { family: "inet", table: "terok_shield", name: "x", type: "ipv4_addr" } }],
    [
      "a map",
      { map: { family: "inet", table: "terok_shield", name: "x", type: "ipv4_addr", map: "verdict" } },
    ],
    [
      "a flow table",
      {
        flowtable: {
          family: "inet",
          table: "terok_shield",
          name: "x",
          hook: "ingress",
          prio: 0,
          dev: "eth0",
        },
      },
    ],
    [
      "a conntrack helper",
      { "ct helper": { family: "inet", table: "terok_shield", name: "x", type: "ftp", protocol: "tcp" } },
    ],
    [
      "a quota",
      { quota: { family: "inet", table: "terok_shield", name: "x", bytes: 1, used: 0, inv: true } },
    ],
    ["a limit", { limit: { family: "inet", table: "terok_shield", name: "x", rate: 1 } }],
    ["a counter", { counter: { family: "inet", table: "terok_shield", name: "x" } }],
    ["an empty table", { table: { family: "ip", name: "x" } }],
  ])("with %s more it is not up", (_, object) => {
    expect(stateOf([...objects, object]).kind).toBe("error");
  });

  test("rules of a chain in another order are not up", () => {
    for (const index of objects.keys()) {
      const [object, next] = [objects[index], objects[index + 1]];
      if (object?.rule === undefined || object.rule.chain !== next?.rule?.chain) continue;
      const swapped = objects.with(index, next as ListedObject).with(index + 1, object);
      expect(stateOf(swapped)).toEqual({ kind: "error", reason: `${DIFFERS}chain ${object.rule.chain}` });
    }
  });
});

function stateOf(listed: readonly ListedObject[]) {
  return readShieldState(kernelJson(listed), WITH_RESOLVER);
}
