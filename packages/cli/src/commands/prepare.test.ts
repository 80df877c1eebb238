import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { expectedListing, renderIpRange, renderRulesetInParts } from "@terok-shield/nft-ruleset";
import { renderEntry } from "@terok-shield/profiles";
import { describe, expect, test } from "vitest";
import { recordSelf } from "../../testing/record-self.ts";
import { writeFiles } from "../../testing/temporary-directory.ts";
import { BARE_MACHINE, FULL_MACHINE, makeTestHost, type TestHost } from "../../testing/test-host.ts";
import { decisionOf, RUN } from "../../testing/test-state.ts";
import { composePolicy } from "../compose-policy.ts";
import { type ContainerState, parseContainerState, renderContainerState } from "../container-state.ts";
import type { Host } from "../host/host.ts";
import type { HostFacts } from "../host/host-facts.ts";
import { settle } from "../settle.ts";
import { ShieldError } from "../shield-error.ts";
import { type PrepareRequest, prepare } from "./prepare.ts";

const REQUEST: PrepareRequest = { container: "web", profiles: ["mine"] };
const MINE = { "profiles/mine.txt": "good.example\n*.wild.example\n203.0.113.0/24\n" };
const NAMES = { "profiles/mine.txt": "good.example\nother.example\n" };

const bundleOf = ({ places }: Host) => `${places.state}/containers/web`;
const readBundle = (host: Host, file: string) => readFileSync(`${bundleOf(host)}/${file}`, "utf8");
const policyOf = (host: Host) => composePolicy(readState(host), host.moment());
const namesOf = (host: Host) => {
  const { exact, wildcards } = policyOf(host).names;
  return [...exact.map(({ name }) => name), ...wildcards.map(({ parent }) => `*.${parent}`)];
};
const readState = (host: Host) => parseContainerState(readBundle(host, "state.json"), "state.json");
const readAudit = (host: Host) =>
  readBundle(host, "audit.jsonl")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

const GETENT_MACHINE: HostFacts = {
  ...BARE_MACHINE,
  programs: (({ dig: _, ...programs }) => programs)(BARE_MACHINE.programs),
};
const getent = (name: string, ...addresses: string[]) => ({
  expect: `/usr/bin/getent ahosts ${name}.`,
  stdout: addresses.map((address) => `${address}  STREAM ${name}\n`).join(""),
});

describe("with dnsmasq", () => {
  test("writes the bundle for us alone, without running anything", async () => {
    const host = makeTestHost({ files: MINE });
    await prepare(host, REQUEST);
    const files = readdirSync(bundleOf(host), { recursive: true }).map(String).sort();
    const modeOf = (file: string) => (statSync(`${bundleOf(host)}/${file}`).mode & 0o777).toString(8);
    expect(files.map((file) => `${modeOf(file)} ${file}`)).toEqual([
      "600 bundle.json",
      "600 dns-servers",
      "600 dnsmasq.conf",
      "700 hooks",
      "600 hooks/terok-shield-createRuntime.json",
      "600 hooks/terok-shield-poststop.json",
      "600 hooks/terok-shield-precreate.json",
      "600 listing.json",
      "644 resolv.conf",
      "600 ruleset.nft",
      "600 state.json",
      "600 ulogd.conf",
    ]);
    expect([host.places.state, bundleOf(host)].map((path) => statSync(path).mode & 0o777)).toEqual([
      0o700, 0o700,
    ]);
  });

  test("answers what podman needs, and records what was asked for", async () => {
    const host = makeTestHost({ files: MINE });
    const prepared = await prepare(host, {
      ...REQUEST,
      published: [{ protocol: "tcp", port: 80 }],
      trustedMounts: ["/home/me/src"],
    });
    expect({ ...prepared, podmanOptions: prepared.podmanOptions.slice(0, 4) }).toEqual({
      container: "web",
      podmanOptions: [
        "--hooks-dir=/usr/share/containers/oci/hooks.d",
        `--hooks-dir=${bundleOf(host)}/hooks`,
        "--name=web",
        "--network=pasta:--dns-forward,169.254.1.1,--no-map-gw,-T,none,-U,none",
      ],
      tier: "dnsmasq",
      profiles: ["mine"],
      resolved: new Map(),
      unresolved: [],
      notes: ["the mount of /home/me/src is trusted by the owner"],
    });
    expect(readState(host)).toMatchObject({
      container: "web",
      request: {
        profiles: ["mine"],
        published: [{ protocol: "tcp", port: 80 }],
        trustedMounts: ["/home/me/src"],
        network: "pasta",
        loopbackPorts: [],
      },
      tier: "dnsmasq",
      revision: 1,
      mode: { kind: "up" },
      decisions: [],
    });
    expect(namesOf(host)).toEqual(["good.example", "*.wild.example"]);
  });

  test("the ruleset and its listing are those of the recorded policy", async () => {
    const host = makeTestHost({ files: MINE });
    await prepare(host, REQUEST);
    const { policy } = policyOf(host);
    expect(readBundle(host, "ruleset.nft")).toBe(renderRulesetInParts(policy, { kind: "up" })[0]);
    expect(JSON.parse(readBundle(host, "listing.json"))).toEqual(expectedListing(policy, { kind: "up" }));
  });

  test("profiles are those of config.yml unless others are asked for", async () => {
    const host = makeTestHost({ files: { ...MINE, "config.yml": "default_profiles: [mine, base]\n" } });
    expect((await prepare(host, { container: "web" })).profiles).toEqual(["mine", "base"]);
    expect((await prepare(host, { ...REQUEST, profiles: ["base"] })).profiles).toEqual(["base"]);
    expect((await prepare(makeTestHost(), { container: "web" })).profiles).toEqual(["dev-standard"]);
  });
});

describe("what was edited counts at the next prepare", () => {
  test("a profile", async () => {
    const host = makeTestHost({ files: MINE });
    await prepare(host, REQUEST);
    const first = readBundle(host, "bundle.json");
    writeFiles(host.places.config, { "profiles/mine.txt": "better.example\n198.51.100.7\n" });
    await prepare(host, REQUEST);
    expect(namesOf(host)).toEqual(["better.example"]);
    expect(readBundle(host, "ruleset.nft")).toContain("198.51.100.7");
    expect(readBundle(host, "ruleset.nft")).not.toContain("203.0.113.0");
    expect(readBundle(host, "dns-servers")).toMatch(/^server=\/better.example\//);
    expect(readBundle(host, "bundle.json")).not.toBe(first);
  });

  test("a profile that now replaces a bundled one", async () => {
    const host = makeTestHost();
    await prepare(host, { container: "web", profiles: ["base"] });
    writeFiles(host.places.config, { "profiles/base.txt": "mine.example\n" });
    await prepare(host, { container: "web", profiles: ["base"] });
    expect(namesOf(host)).toEqual(["mine.example"]);
  });

  test("config.yml, and nothing of the old bundle stays in force", async () => {
    const host = makeTestHost({ files: NAMES, script: [getent("good.example"), getent("other.example")] });
    await prepare(host, REQUEST);
    writeFiles(host.places.config, { "config.yml": "dns: {tier: getent}\naudit: {enabled: false}\n" });
    const { podmanOptions } = await prepare(host, REQUEST);
    expect(podmanOptions).toEqual(
      expect.arrayContaining([
        "--annotation=terok.shield.dns_tier=getent",
        "--annotation=terok.shield.audit_enabled=false",
      ]),
    );
    const { dns, files } = JSON.parse(readBundle(host, "bundle.json")).manifest;
    expect([dns, Object.keys(files)]).toEqual([
      { tier: "getent" },
      ["state.json", "ruleset.nft", "listing.json", "resolv.conf", "hosts"],
    ]);
  });
});

describe("no state is written when", () => {
  test.each<[string, TestHost["files"], PrepareRequest, string]>([
    [
      "a profile line is wrong",
      { "profiles/mine.txt": "good.example\n010.0.0.1\na..b\n" },
      REQUEST,
      'CONFIG/profiles/mine.txt:2: "010.0.0.1" is not an IP address or CIDR range\nCONFIG/profiles/mine.txt:3: "a..b" has an empty label',
    ],
    [
      "lines of two profiles are wrong",
      { "profiles/mine.txt": "*.com\n", "profiles/other.txt": "1.2.3.4/33\n" },
      { ...REQUEST, profiles: ["mine", "base", "other"] },
      'CONFIG/profiles/mine.txt:1: "*.com" opens the names of everybody who registers below com. Write the names that you mean.\nCONFIG/profiles/other.txt:1: "1.2.3.4/33" is not an IP address or CIDR range',
    ],
    [
      "config.yml is wrong",
      { ...MINE, "config.yml": "mode: hook\nloopback_ports: [70000]\n" },
      REQUEST,
      "CONFIG/config.yml, loopback_ports[0]: 70000 is not a port (1-65535).",
    ],
    ["config.yml is no YAML", { ...MINE, "config.yml": "mode: [\n" }, REQUEST, "CONFIG/config.yml:2: "],
    [
      "a profile is not known",
      MINE,
      { ...REQUEST, profiles: ["nod"] },
      'profile "nod" does not exist. Known profiles: base, dev-node, dev-python, dev-standard, mine, nvidia-hpc.',
    ],
    [
      "a profile's name is none",
      MINE,
      { ...REQUEST, profiles: ["../mine"] },
      '"../mine" is not a profile name.',
    ],
    ["the container's name is none", MINE, { container: "../web" }, '"../web" is not a container name.'],
  ])("%s", async (_, files = {}, request, message) => {
    const host = makeTestHost({ files });
    const failure: Error = await prepare(host, request).then(
      () => expect.unreachable(),
      (cause) => cause,
    );
    expect(failure.message.replaceAll(host.places.config, "CONFIG").slice(0, message.length)).toBe(message);
    expect(existsSync(host.places.state)).toBe(false);
  });

  test("an entry cannot be enforced in the tier that the machine has", async () => {
    for (const [lines, facts, place] of [
      ["10.88.0.1\n10.0.2.2", { ...FULL_MACHINE, podmanMajor: 4 }, "mine.txt:2: 10.0.2.2 is of "],
      ["\n*.good.example", BARE_MACHINE, "mine.txt:2: *.good.example needs dnsmasq"],
      [
        "good.example\n*.good.example:443",
        FULL_MACHINE,
        "mine.txt:1: good.example and *.good.example:443 give ",
      ],
    ] as const) {
      const host = makeTestHost({ files: { "profiles/mine.txt": `${lines}\n` }, facts });
      await expect(prepare(host, REQUEST)).rejects.toThrow(`${host.places.config}/profiles/${place}`);
      expect(existsSync(bundleOf(host))).toBe(false);
    }
  });

  test("others may enter the state directory", async () => {
    const host = makeTestHost({ files: MINE });
    mkdirSync(host.places.state);
    chmodSync(host.places.state, 0o755);
    await expect(prepare(host, REQUEST)).rejects.toThrow("is not safe: others may enter it");
    expect(readdirSync(host.places.state)).toEqual([]);
  });
});

describe("in a static tier", () => {
  test("names are resolved, and the answers stand in the rules and in the hosts file", async () => {
    const host = makeTestHost({
      files: NAMES,
      facts: GETENT_MACHINE,
      script: [
        getent("good.example", "198.18.0.7", "198.18.0.7", "2001:2::7"),
        getent("other.example", "198.18.0.8"),
      ],
    });
    const prepared = await prepare(host, REQUEST);
    expect(prepared.resolved).toEqual(
      new Map([
        ["good.example", ["198.18.0.7", "2001:2::7"]],
        ["other.example", ["198.18.0.8"]],
      ]),
    );
    expect(prepared.notes).toEqual([
      "the getent tier is in use, so names follow no change until the next start: dnsmasq is not installed.",
    ]);
    expect(readBundle(host, "hosts")).toBe(
      "198.18.0.7\tgood.example\n2001:2::7\tgood.example\n198.18.0.8\tother.example\n",
    );
    expect(readBundle(host, "ruleset.nft")).toMatch(/198\.18\.0\.7/);
  });

  test("a name that does not resolve is a note, also in the audit log, and no reason not to go on", async () => {
    const host = makeTestHost({
      files: NAMES,
      facts: GETENT_MACHINE,
      script: [
        { expect: "/usr/bin/getent ahosts good.example.", fails: { exitCode: 2 } },
        getent("other.example", "198.18.0.8", "10.77.0.7"),
      ],
    });
    const { notes, unresolved } = await prepare(host, REQUEST);
    expect(unresolved).toEqual([{ name: "good.example", reason: "the name does not resolve" }]);
    expect(notes.slice(1)).toEqual([
      "other.example answers a private address, which stays closed",
      "good.example does not resolve: the name does not resolve",
    ]);
    expect(readAudit(host)).toEqual(
      notes.map((detail) => ({
        v: 1,
        ts: "2026-12-01T10:15:00.000Z",
        container: "web",
        action: "note",
        detail,
      })),
    );
    const { learned } = policyOf(host).policy;
    expect(learned.kind === "fixed" && learned.destinations.map(({ range }) => renderIpRange(range))).toEqual(
      ["198.18.0.8"],
    );
  });

  test("answers are kept for an hour, failures not at all", async () => {
    let now = new Date("2026-12-01T10:00:00Z");
    const failing = { expect: "/usr/bin/getent ahosts other.example.", fails: { exitCode: 2 } };
    const host = makeTestHost({
      files: NAMES,
      facts: GETENT_MACHINE,
      now: () => now,
      script: [
        getent("good.example", "198.18.0.1"),
        failing,
        // 59 minutes later only what failed is asked again.
        getent("other.example", "198.18.0.3"),
        // An hour later all is.
        getent("good.example", "198.18.0.4"),
        getent("other.example", "198.18.0.5"),
      ],
    });
    const addresses = async (request: PrepareRequest) =>
      [...(await prepare(host, request)).resolved.values()].flat();
    expect(await addresses(REQUEST)).toEqual(["198.18.0.1"]);
    now = new Date("2026-12-01T10:59:59Z");
    expect(await addresses(REQUEST)).toEqual(["198.18.0.1", "198.18.0.3"]);
    now = new Date("2026-12-01T11:59:59Z");
    expect(await addresses(REQUEST)).toEqual(["198.18.0.4", "198.18.0.5"]);
  });
});

describe("the tier is the best that the machine has, or what config.yml says", () => {
  const NO_NAMES = { "profiles/mine.txt": "203.0.113.7\n" };
  test.each([
    ["auto", FULL_MACHINE, "dnsmasq"],
    ["auto", BARE_MACHINE, "dig"],
    ["auto", GETENT_MACHINE, "getent"],
    ["dnsmasq", FULL_MACHINE, "dnsmasq"],
    ["dig", FULL_MACHINE, "dig"],
    ["getent", BARE_MACHINE, "getent"],
  ])("%s", async (wanted, facts, tier) => {
    const files = { ...NO_NAMES, "config.yml": `dns: {tier: ${wanted}}\n` };
    expect((await prepare(makeTestHost({ files, facts }), REQUEST)).tier).toBe(tier);
  });

  test.each([
    ["dnsmasq", BARE_MACHINE, "dnsmasq is not installed."],
    ["dig", GETENT_MACHINE, "dig is not installed."],
  ])("%s is refused where it is not there", async (wanted, facts, reason) => {
    const files = { ...NO_NAMES, "config.yml": `dns: {tier: ${wanted}}\n` };
    await expect(prepare(makeTestHost({ files, facts }), REQUEST)).rejects.toThrow(
      new ShieldError(`config.yml, dns.tier: ${wanted} cannot be used. ${reason}`),
    );
  });
});

describe("the network is podman's own choice, unless config.yml or an earlier start made it", () => {
  const pastaOn4 = { ...FULL_MACHINE, podmanMajor: 4 };
  const slirpOn5 = { ...BARE_MACHINE, podmanMajor: 5 };
  test.each([
    ["auto", FULL_MACHINE, "pasta"],
    ["auto", pastaOn4, "slirp4netns"],
    ["auto", slirpOn5, "slirp4netns"],
    ["pasta", pastaOn4, "pasta"],
    ["slirp4netns", FULL_MACHINE, "slirp4netns"],
  ])("%s", async (wanted, facts, kind) => {
    const files = { "profiles/mine.txt": "", "config.yml": `network: ${wanted}\n` };
    const host = makeTestHost({ files, facts });
    await prepare(host, REQUEST);
    expect(readState(host).request.network).toBe(kind);
  });

  test.each([
    ["pasta", BARE_MACHINE, "pasta is not installed. On Debian: sudo apt-get install passt"],
    [
      "auto",
      {
        ...FULL_MACHINE,
        podmanMajor: 4,
        programs: (({ slirp4netns: _, ...rest }) => rest)(FULL_MACHINE.programs),
      },
      "slirp4netns is not installed. On Debian: sudo apt-get install slirp4netns",
    ],
  ])("%s is refused where it is not there", async (wanted, facts, message) => {
    const files = { "profiles/mine.txt": "", "config.yml": `network: ${wanted}\n` };
    await expect(prepare(makeTestHost({ files, facts }), REQUEST)).rejects.toThrow(new ShieldError(message));
  });

  test("a container that exists keeps its network and loopback ports", async () => {
    const host = makeTestHost({ files: { ...MINE, "config.yml": "loopback_ports: [80]\n" } });
    await prepare(host, { ...REQUEST, fixed: { network: "slirp4netns", loopbackPorts: [5432] } });
    expect(readState(host).request).toMatchObject({ network: "slirp4netns", loopbackPorts: [5432] });
    expect(readState(host).network.hostLoopback?.ports).toEqual([5432]);
  });
});

describe("a container that runs", () => {
  test("is not prepared anew: its bundle stays as it is", async () => {
    const host = makeTestHost({ files: MINE });
    await prepare(host, REQUEST);
    writeFiles(bundleOf(host), { "runtime.json": JSON.stringify(recordSelf()) });
    const before = readBundle(host, "bundle.json");
    await expect(prepare(host, { ...REQUEST, profiles: ["base"] })).rejects.toThrow(
      new ShieldError("The container web runs. Stop it first, or choose another name."),
    );
    expect(readBundle(host, "bundle.json")).toBe(before);
  });

  test("is no hindrance once it has ended", async () => {
    const host = makeTestHost({ files: MINE });
    await prepare(host, REQUEST);
    writeFiles(bundleOf(host), { "runtime.json": JSON.stringify({ ...recordSelf(), startTime: "1" }) });
    await prepare(host, REQUEST);
  });
});

test("without audit there are notes, but no log", async () => {
  const host = makeTestHost({
    files: { "profiles/mine.txt": "10.0.0.7\n", "config.yml": "audit: {enabled: false}\n" },
  });
  const { notes } = await prepare(host, REQUEST);
  expect(notes).toEqual([
    `${host.places.config}/profiles/mine.txt:1: 10.0.0.7 opens private or special addresses`,
  ]);
  expect(readdirSync(bundleOf(host))).not.toContain("audit.jsonl");
});

test("several at a time give one whole bundle", async () => {
  const host = makeTestHost({ files: MINE });
  await Promise.all(
    ["mine", "base", "dev-node"].map((name) => prepare(host, { ...REQUEST, profiles: [name] })),
  );
  const { policy } = policyOf(host);
  expect(policy.revision).toBe(3);
  expect(readBundle(host, "ruleset.nft")).toBe(renderRulesetInParts(policy, { kind: "up" })[0]);
});

describe("what was decided about the container before", () => {
  /** As a change of the running container would have recorded it. */
  function decideOn(
    host: Host,
    texts: readonly string[],
    change: Partial<ContainerState> = {},
  ): ContainerState {
    const state = readState(host);
    const decisions = [...state.decisions, ...texts.map((text) => decisionOf(text))];
    const changed = settle(state, { ...state, decisions, ...change });
    writeFiles(bundleOf(host), { "state.json": renderContainerState(changed) });
    return changed;
  }
  const decisionsOf = ({ decisions }: ContainerState) =>
    decisions.map(({ verdict, entry }) => `${verdict} ${renderEntry(entry)}`);

  test("stays: what is for good, denies that last, block; and counts on", async () => {
    const host = makeTestHost({ files: MINE });
    await prepare(host, REQUEST);
    const before = decideOn(
      host,
      ["deny good.example", "allow a.test:443", "deny 198.18.0.7 --for 1h", "allow b.test --for 1h"],
      { mode: { kind: "block" } },
    );
    const { notes } = await prepare(host, { ...REQUEST, profiles: ["base"] });
    const after = readState(host);
    expect(decisionsOf(after)).toEqual(["deny good.example", "allow a.test:443", "deny 198.18.0.7"]);
    expect(after).toMatchObject({ mode: { kind: "block" }, revision: before.revision + 1 });
    expect(after.scopes.byKey.get("tcp:443 udp:443")).toBe(before.scopes.byKey.get("tcp:443 udp:443"));
    expect(after.request.profiles).toEqual(["base"]);
    expect(readBundle(host, "ruleset.nft")).toBe(
      renderRulesetInParts(policyOf(host).policy, { kind: "block" })[0],
    );
    expect(notes).toEqual([
      "the container stays cut off until terok-shield up web",
      "decided earlier, and still in force: deny good.example, allow a.test:443, deny 198.18.0.7",
    ]);
  });

  test("ends with its run: bypass is over, and its queries are of another generation", async () => {
    const host = makeTestHost({ files: MINE });
    await prepare(host, REQUEST);
    const before = decideOn(host, [], { mode: { kind: "down", privateRanges: "open", run: RUN } });
    await prepare(host, REQUEST);
    expect(readState(host)).toMatchObject({
      mode: { kind: "up" },
      queryGeneration: before.queryGeneration + 1,
      flowGeneration: before.flowGeneration,
    });
  });

  test("is not touched when the new profiles do not do", async () => {
    const host = makeTestHost({ files: MINE });
    await prepare(host, REQUEST);
    decideOn(host, ["allow good.example:443"]);
    const before = readBundle(host, "state.json");
    writeFiles(host.places.config, { "profiles/mine.txt": "*.good.example:80\n" });
    await expect(prepare(host, REQUEST)).rejects.toThrow(
      "mine.txt:1: allow good.example:443 and *.good.example:80 give good.example",
    );
    expect(readBundle(host, "state.json")).toBe(before);
  });

  test("is refused, not dropped, where the machine cannot enforce it any more", async () => {
    const files = { "profiles/mine.txt": "" };
    const host = makeTestHost({ files });
    await prepare(host, REQUEST);
    decideOn(host, ["allow *.wild.example", "deny *.bad.example"]);
    await expect(prepare({ ...host, facts: async () => BARE_MACHINE }, REQUEST)).rejects.toThrow(
      /^allow \*\.wild\.example \(decided earlier\): \*\.wild\.example needs dnsmasq, [^\n]*$/,
    );
  });

  test("is resolved in a static tier like a profile's names, and no name that is closed", async () => {
    const host = makeTestHost({
      files: NAMES,
      facts: GETENT_MACHINE,
      script: [
        getent("good.example", "198.18.0.7"),
        getent("other.example", "198.18.0.8"),
        getent("more.example", "198.18.0.9"),
      ],
    });
    await prepare(host, REQUEST);
    decideOn(host, ["deny good.example", "allow more.example"]);
    const { resolved, podmanOptions } = await prepare(host, REQUEST);
    expect([...resolved.keys()]).toEqual(["other.example", "more.example"]);
    expect(readBundle(host, "hosts")).toBe("198.18.0.8\tother.example\n198.18.0.9\tmore.example\n");
    expect(podmanOptions.join(" ")).not.toContain("good.example");
  });

  test("while names were looked up is not lost", async () => {
    const host = makeTestHost({ files: NAMES, facts: GETENT_MACHINE });
    let isFirst = true;
    const slow: Host = {
      ...host,
      runCommand: async () => {
        if (isFirst) {
          isFirst = false;
          return { stdout: "" };
        }
        decideOn(host, ["deny good.example", "allow late.example"], {
          resolved: new Map([["late.example", ["198.18.0.9"]]]),
        });
        return { stdout: "198.18.0.7  STREAM good.example\n" };
      },
    };
    writeFiles(host.places.config, { "profiles/mine.txt": "good.example\n" });
    await prepare(slow, REQUEST);
    await prepare(slow, REQUEST);
    const state = readState(host);
    expect(decisionsOf(state)).toEqual(["deny good.example", "allow late.example"]);
    expect(state.resolved).toEqual(new Map([["late.example", ["198.18.0.9"]]]));
  });

  test("and cannot be read is an error, and nothing is written", async () => {
    const host = makeTestHost({ files: MINE });
    await prepare(host, REQUEST);
    const whole = readBundle(host, "state.json");
    for (const [damaged, message] of [
      [whole.slice(0, 100), "state.json is damaged or of another version"],
      ["", "state.json is damaged or of another version"],
      [whole.replace('"container":"web"', '"container":"db"'), 'state.json is of the container "db".'],
    ] as const) {
      writeFiles(bundleOf(host), { "state.json": damaged });
      const before = readBundle(host, "bundle.json");
      await expect(prepare(host, REQUEST)).rejects.toThrow(message);
      expect([readBundle(host, "state.json"), readBundle(host, "bundle.json")]).toEqual([damaged, before]);
    }
  });

  test("by a version that knew no decisions is nothing: the container is prepared as new", async () => {
    const host = makeTestHost({ files: MINE });
    writeFiles(host.places.state, {
      "containers/web/state.json": JSON.stringify({ version: 1, container: "web" }),
    });
    for (const directory of ["", "/containers", "/containers/web"])
      chmodSync(`${host.places.state}${directory}`, 0o700);
    await prepare(host, REQUEST);
    expect(readState(host)).toMatchObject({ revision: 1, decisions: [] });
  });
});

test("only files whose content has changed are written", async () => {
  const host = makeTestHost({ files: MINE });
  await prepare(host, REQUEST);
  const inodes = () =>
    new Map(
      readdirSync(bundleOf(host), { recursive: true }).map((file) => [
        String(file),
        statSync(`${bundleOf(host)}/${String(file)}`).ino,
      ]),
    );
  const before = inodes();
  await prepare(host, REQUEST);
  const changed = [...inodes()].filter(([file, inode]) => before.get(file) !== inode).map(([file]) => file);
  // The revision is new, and the state, the ruleset and its listing carry it.
  expect(changed.sort()).toEqual(["bundle.json", "listing.json", "ruleset.nft", "state.json"]);
});
