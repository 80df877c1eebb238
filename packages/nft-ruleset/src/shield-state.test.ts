import { describe, expect, test } from "vitest";
import { kernelJson, type ListedObject, listedObjects, timedElement } from "../testing/kernel-json.ts";
import {
  DOWN_FOR,
  MODES,
  NOTHING_ALLOWED,
  to,
  UP,
  WITH_LEASES,
  WITH_PORTS,
  WITH_RESOLVER,
} from "../testing/sample-policies.ts";
import type { EgressPolicy } from "./egress-policy.ts";
import { parseIpRange } from "./ip-range.ts";
import { readShieldState } from "./shield-state.ts";

const objects = listedObjects(WITH_RESOLVER, UP);
const DIFFERS = "the kernel's rules are not what policy says: ";

describe("readShieldState", () => {
  test.each(MODES)("the rules of mode %j are that mode", (mode) => {
    for (const policy of [WITH_RESOLVER, WITH_PORTS, WITH_LEASES]) {
      expect(readShieldState(kernelJson(listedObjects(policy, mode)), policy)).toEqual(mode);
    }
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
      policy: { ...WITH_RESOLVER, allow: [...WITH_RESOLVER.allow, to("9.9.9.9")] },
      named: "set allow_v4",
    },
    {
      what: "an address is there that policy has not",
      policy: { ...WITH_RESOLVER, allow: [] },
      named: "set allow_v4, set allow_v6",
    },
    {
      what: "another revision",
      policy: { ...WITH_RESOLVER, revision: 2 },
      named: "chain revision_2, chain revision_1",
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

describe("readShieldState of what ends by itself", () => {
  const now = listedObjects(WITH_LEASES, UP);

  test.each([0, 1, 2.5, 4])("a kernel that began to count %d s later is right", (seconds) => {
    expect(readShieldState(kernelJson(now), later(WITH_LEASES, seconds))).toEqual(UP);
  });

  test("a listing from before the end and one from after it are both right, near the end", () => {
    const ending = withElements(now, "timed_deny_ports_v6", () => []);
    expect(readShieldState(kernelJson(ending), WITH_LEASES)).toEqual(UP);
    expect(readShieldState(kernelJson(ending), later(WITH_LEASES, 3))).toEqual(UP);
  });

  test("when all has ended, the sets are still there and empty", () => {
    const names = [
      "lift_v4",
      "timed_deny_v4",
      "timed_deny_ports_v6",
      "timed_allow_v4",
      "timed_allow_ports_v4",
    ];
    const ended = [...names, "active_3", "active_4"].reduce(
      (objects, name) => withElements(objects, name, () => []),
      now,
    );
    expect(readShieldState(kernelJson(ended), later(WITH_LEASES, 2000))).toEqual(UP);
    expect(readShieldState(kernelJson(ended), WITH_RESOLVER).kind).toBe("error");
  });

  test.each<[string, string, (elements: unknown[]) => unknown[]]>([
    [
      "an allow that lasts longer",
      "timed_allow_v4",
      (elements) => elements.map((element) => withEnd(element, 607)),
    ],
    ["an allow without end", "timed_allow_v4", (elements) => [...elements.slice(1), "198.51.100.7"]],
    ["an allow more", "timed_allow_v4", (elements) => [...elements, timedElement("192.0.2.77", 1)]],
    [
      "an allow of more ports",
      "timed_allow_ports_v4",
      () => [withPorts("192.0.2.1", "tcp", { range: [443, 444] })],
    ],
    ["an allow of another protocol", "timed_allow_ports_v4", () => [withPorts("192.0.2.1", "udp", 443)]],
    ["a deny without end", "timed_deny_v4", () => [{ prefix: { addr: "203.0.113.64", len: 26 } }]],
    ["a deny more", "timed_deny_v4", (elements) => [...elements, timedElement("192.0.2.77", 9)]],
    ["a deny less", "timed_deny_v4", () => []],
    [
      "a deny that ends sooner",
      "timed_deny_v4",
      (elements) => elements.map((element) => withEnd(element, 1700)),
    ],
    ["a deny of less", "timed_deny_v4", () => [timedElement("203.0.113.64", 1800)]],
    ["a lift of more", "lift_v4", () => [timedElement({ prefix: { addr: "203.0.113.0", len: 24 } }, 60)]],
    ["names that stay open", "active_3", () => ["ipv4", "ipv6"]],
    [
      "names of one family that stay open",
      "active_3",
      (elements) => [...elements.slice(0, 1), withEnd("ipv6", 999)],
    ],
    ["what is no element", "active_3", (elements) => [...elements, null]],
  ])("%s is an error", (_, name, change) => {
    expect(readShieldState(kernelJson(withElements(now, name, change)), WITH_LEASES)).toEqual({
      kind: "error",
      reason: `${DIFFERS}set ${name}`,
    });
  });

  test("a deny that lasts longer is right: it began to count with a later start", () => {
    const late = withElements(now, "timed_deny_v4", (elements) =>
      elements.map((element) => withEnd(element, 9000)),
    );
    expect(readShieldState(kernelJson(late), WITH_LEASES)).toEqual(UP);
    expect(readShieldState(kernelJson(late), later(WITH_LEASES, 2000)).kind).toBe("error");
    const others = ["lift_v4", "timed_allow_v4", "timed_allow_ports_v4", "active_3", "active_4"];
    const lateAlone = others.reduce((objects, name) => withElements(objects, name, () => []), late);
    expect(readShieldState(kernelJson(lateAlone), later(WITH_LEASES, 2000))).toEqual(UP);
  });

  test("protocols as numbers, where /etc/protocols is missing, are the same", () => {
    const numbered = withElements(now, "timed_allow_ports_v4", () => [withPorts("192.0.2.1", 6, 443)]);
    expect(readShieldState(kernelJson(numbered), WITH_LEASES)).toEqual(UP);
  });

  test.each([
    { what: "just begun", elements: (listed: unknown[]) => listed, remainingSeconds: 600 },
    { what: "over", elements: () => [], remainingSeconds: 0 },
    {
      what: "of half a minute",
      elements: () => [timedElement("ipv4", 30), timedElement("ipv6", 30)],
      remainingSeconds: 30,
    },
  ])("of bypass for a time, $what, it says what is left", ({ elements, remainingSeconds }) => {
    const listed = withElements(listedObjects(WITH_RESOLVER, DOWN_FOR), "bypass_lease", elements);
    expect(readShieldState(kernelJson(listed), WITH_RESOLVER)).toEqual({ ...DOWN_FOR, remainingSeconds });
  });

  test.each([
    ["without end", ["ipv4", "ipv6"]],
    ["without end for one family", [timedElement("ipv4", 30), "ipv6"]],
    ["longer for one family", [timedElement("ipv4", 30), timedElement("ipv6", 300)]],
    ["of one family", [timedElement("ipv4", 30)]],
  ])("bypass %s is none of ours", (_, elements) => {
    const listed = withElements(listedObjects(WITH_RESOLVER, DOWN_FOR), "bypass_lease", () => elements);
    expect(readShieldState(kernelJson(listed), WITH_RESOLVER)).toEqual({
      kind: "error",
      reason: `${DIFFERS}set bypass_lease`,
    });
  });
});

function stateOf(listed: readonly ListedObject[]) {
  return readShieldState(kernelJson(listed), WITH_RESOLVER);
}

/** The policy as it is so many seconds later. */
function later(policy: EgressPolicy, seconds: number): EgressPolicy {
  const soon = <Lease extends { remainingSeconds?: number }>(lease: Lease) =>
    lease.remainingSeconds === undefined
      ? lease
      : { ...lease, remainingSeconds: lease.remainingSeconds - seconds };
  const { timed = { allow: [], deny: [], lift: [] }, learned } = policy;
  return {
    ...policy,
    timed: { allow: timed.allow.map(soon), deny: timed.deny.map(soon), lift: timed.lift.map(soon) },
    learned: learned.kind === "fixed" ? learned : { ...learned, scopes: learned.scopes.map(soon) },
  };
}

function withElements(
  objects: readonly ListedObject[],
  name: string,
  change: (elements: unknown[]) => unknown[],
): ListedObject[] {
  return objects.map((object) =>
    object.set?.name === name
      ? { set: { ...object.set, elem: change(object.set.elem as unknown[]) } }
      : object,
  );
}

function withEnd(element: unknown, expires: number): object {
  const { elem } = element as { elem?: object };
  return { elem: { val: element, ...elem, expires } };
}

function withPorts(address: string, protocol: unknown, ports: unknown): object {
  return timedElement({ concat: [address, protocol, ports] }, 90);
}
