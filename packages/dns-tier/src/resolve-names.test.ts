import { describe, expect, test } from "vitest";
import { type ResolverCommand, type RunResolver, resolveNames } from "./resolve-names.ts";

const HEADER = ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 1\n";
const FOREVER = new Promise<never>(() => {});

/** A dig that knows records by "NAME TYPE"; what it does not know has no address. */
const digOf =
  (answers: Record<string, string | (() => Promise<{ stdout: string }>)>): RunResolver =>
  async ({ args }) => {
    const [name = "", type = ""] = [args[args.indexOf("-q") + 1], args[args.indexOf("-t") + 1]];
    const answer = answers[`${name} ${type}`] ?? HEADER;
    if (typeof answer === "function") return answer();
    return { stdout: answer.startsWith(";") ? answer : `${HEADER}${name}. 60 IN ${type} ${answer}\n` };
  };

const failing = (message: string, exitCode?: number) => async () => {
  throw Object.assign(new Error(message), exitCode === undefined ? {} : { exitCode });
};

describe("with dig", () => {
  test("puts both families of a name together, in the order of the names", async () => {
    const runCommand = digOf({
      "b.test A": "198.18.0.8",
      "a.test A": "198.18.0.7",
      "a.test AAAA": "2001:2::7",
    });
    const { resolved, unresolved } = await resolveNames(["a.test", "b.test", "a.test"], {
      tier: "dig",
      runCommand,
    });
    expect([...resolved]).toEqual([
      ["a.test", ["198.18.0.7", "2001:2::7"]],
      ["b.test", ["198.18.0.8"]],
    ]);
    expect(unresolved).toEqual([]);
  });

  test("keeps one family when the question for the other fails", async () => {
    const runCommand = digOf({ "a.test A": "198.18.0.7", "a.test AAAA": failing("exit 9", 9) });
    expect((await resolveNames(["a.test"], { tier: "dig", runCommand })).resolved.get("a.test")).toEqual([
      "198.18.0.7",
    ]);
  });

  test("has no opinion on private addresses", async () => {
    const runCommand = digOf({ "a.test A": "169.254.169.254", "a.test AAAA": "::1" });
    expect((await resolveNames(["a.test"], { tier: "dig", runCommand })).resolved.get("a.test")).toEqual([
      "169.254.169.254",
      "::1",
    ]);
  });

  test.each([
    ["the name has no address", HEADER, HEADER],
    [
      "the resolver answered NXDOMAIN",
      HEADER.replace("NOERROR", "NXDOMAIN"),
      HEADER.replace("NOERROR", "NXDOMAIN"),
    ],
    ["the resolver answered SERVFAIL", HEADER, HEADER.replace("NOERROR", "SERVFAIL")],
    ["the resolver did not reply", failing("Command failed", 9), HEADER],
    ["no reply", ";; nothing", HEADER],
    ['the lookup failed: "spawn dig ENOENT"', failing("spawn dig ENOENT\n    at stack"), HEADER],
    ['the lookup failed: "\\u001b[31mred"', failing("\u001b[31mred"), HEADER],
  ])("reports: %s", async (reason, a, aaaa) => {
    const runCommand = digOf({ "a.test A": a, "a.test AAAA": aaaa });
    const { resolved, unresolved } = await resolveNames(["a.test"], { tier: "dig", runCommand });
    expect(resolved.size).toBe(0);
    expect(unresolved).toEqual([{ name: "a.test", reason }]);
  });

  test("reports a name that answers with more addresses than any honest one", async () => {
    const flood = Array.from(
      { length: 257 },
      (_, index) => `a.test. 1 IN A 198.18.${index >> 8}.${index & 255}`,
    );
    const runCommand = digOf({ "a.test A": `${HEADER}${flood.join("\n")}\n` });
    expect((await resolveNames(["a.test"], { tier: "dig", runCommand })).unresolved).toEqual([
      { name: "a.test", reason: "the name has 257 addresses, more than 256" },
    ]);
  });
});

describe("with getent", () => {
  test("asks once for both families", async () => {
    const commands: ResolverCommand[] = [];
    const runCommand: RunResolver = async (command) => {
      commands.push(command);
      return { stdout: "2001:2::7 STREAM a.test\n198.18.0.7 STREAM\n" };
    };
    const { resolved } = await resolveNames(["a.test"], { tier: "getent", runCommand });
    expect(resolved.get("a.test")).toEqual(["2001:2::7", "198.18.0.7"]);
    expect(commands.map(({ file, args }) => [file, ...args])).toEqual([["getent", "ahosts", "a.test."]]);
  });

  test.each([
    ["the name does not resolve", failing("exit 2", 2)],
    ["the name has no address", async () => ({ stdout: "" })],
  ])("reports: %s", async (reason, runCommand) => {
    expect((await resolveNames(["a.test"], { tier: "getent", runCommand })).unresolved).toEqual([
      { name: "a.test", reason },
    ]);
  });
});

describe("under the deadline", () => {
  const names = Array.from({ length: 18 }, (_, index) => `silent-${index}.test`);
  const late = (name: string) => ({ name, reason: "no answer within 0.05 s" });

  test("asks all names at once and ends every process, also one that does not listen", async () => {
    const signals: AbortSignal[] = [];
    const runCommand: RunResolver = ({ signal }) => {
      signals.push(signal);
      return FOREVER;
    };
    const result = await resolveNames(names, { tier: "dig", runCommand, deadlineMilliseconds: 50 });
    expect(result).toEqual({ resolved: new Map(), unresolved: names.map(late) });
    expect(signals).toHaveLength(2 * names.length);
    expect(signals.every(({ aborted }) => aborted)).toBe(true);
  });

  test("says the same of a process that was ended", async () => {
    const runCommand: RunResolver = ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
    const { unresolved } = await resolveNames(["a.test"], {
      tier: "getent",
      runCommand,
      deadlineMilliseconds: 50,
    });
    expect(unresolved).toEqual([late("a.test")]);
  });

  test("keeps what was answered in time", async () => {
    const runCommand = digOf({
      "a.test A": "198.18.0.7",
      "a.test AAAA": () => FOREVER,
      "b.test A": () => FOREVER,
    });
    const result = await resolveNames(["a.test", "b.test"], {
      tier: "dig",
      runCommand,
      deadlineMilliseconds: 50,
    });
    expect(result).toEqual({ resolved: new Map([["a.test", ["198.18.0.7"]]]), unresolved: [late("b.test")] });
  });

  test("lets questions over the cap wait for a place, and reports those that get none in time", async () => {
    let running = 0;
    let most = 0;
    const runCommand: RunResolver = async ({ args }) => {
      most = Math.max(most, ++running);
      if (args.includes("silent.test.")) await FOREVER;
      await Promise.resolve();
      running--;
      return { stdout: "198.18.0.7 STREAM\n" };
    };
    const options = { tier: "getent", runCommand, deadlineMilliseconds: 50, maximumProcesses: 2 } as const;
    const ordinary = Array.from({ length: 9 }, (_, index) => `name-${index}.test`);
    const first = await resolveNames(["silent.test", ...ordinary], options);
    expect([most, [...first.resolved.keys()]]).toEqual([2, ordinary]);
    const blocked = await resolveNames(ordinary, {
      ...options,
      maximumProcesses: 2,
      runCommand: () => FOREVER,
    });
    expect(blocked.unresolved).toEqual(ordinary.map(late));
  });
});

test("asks nobody for no names", async () => {
  const result = await resolveNames([], { tier: "dig", runCommand: () => FOREVER });
  expect(result).toEqual({ resolved: new Map(), unresolved: [] });
});

test("throws on a name that is not canonical, before anything runs", async () => {
  const runCommand = () => {
    throw new Error("ran");
  };
  await expect(resolveNames(["a.test", "-x"], { tier: "dig", runCommand })).rejects.toThrow(
    '"-x" is not a canonical domain name',
  );
});
