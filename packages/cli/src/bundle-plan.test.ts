import { createHash } from "node:crypto";
import { BUNDLE_FILE, BUNDLE_VERSION } from "@terok-shield/hook-entrypoint/contract";
import {
  expectedListing,
  PRIVATE_RANGES,
  parseIpRange,
  renderIpRange,
  renderRulesetInParts,
  subtractRanges,
} from "@terok-shield/nft-ruleset";
import { describe, expect, test } from "vitest";
import { BARE_MACHINE, FULL_MACHINE } from "../testing/test-host.ts";
import { decisionOf, later, MOMENT, makeState, RUN, type TestState } from "../testing/test-state.ts";
import { type BundleRequest, type PlannedFile, planBundle, renderActiveServers } from "./bundle-plan.ts";
import { composePolicy } from "./compose-policy.ts";
import { parseContainerState, renderContainerState } from "./container-state.ts";

const BUNDLE = "/home/me/.local/state/terok/shield/containers/web";

const withState = (given: TestState, overrides: Partial<BundleRequest> = {}): BundleRequest => {
  const state = makeState(given);
  return {
    state: { ...state, request: { ...state.request, trustedMounts: ["/home/me/src"] } },
    moment: MOMENT,
    directory: BUNDLE,
    facts: given.tier === "dig" ? BARE_MACHINE : FULL_MACHINE,
    hookEntrypoint: "/opt/terok-shield/terok-shield-hook.cjs",
    protectedPaths: { unwritable: ["/home/me/.config/containers"], unreachable: ["/run/podman"] },
    ...overrides,
  };
};

const withoutAudit = (request: BundleRequest): BundleRequest => ({
  ...request,
  state: { ...request.state, auditEnabled: false },
});

const PROFILE = ["example.com", "203.0.113.0/24"];
const WITH_DNSMASQ = withState({ profile: PROFILE });
const STATIC = withState({
  tier: "dig",
  profile: PROFILE,
  resolved: { "example.com": ["198.18.0.7", "2001:2::7"] },
});

function listFiles(files: readonly PlannedFile[]): string[] {
  return files.map(({ path, mode }) => `${mode.toString(8)} ${path.replace(`${BUNDLE}/`, "")}`);
}

function contentOf(request: BundleRequest, file: keyof typeof BUNDLE_FILE): string {
  const path = `${BUNDLE}/${BUNDLE_FILE[file]}`;
  return planBundle(request).find((planned) => planned.path === path)?.content ?? "";
}

const HOOKS = ["precreate", "createRuntime", "poststop"].map(
  (stage) => `600 hooks/terok-shield-${stage}.json`,
);

describe("the files and their order: all is made from the state, and the manifest seals what was written before it", () => {
  test.each([
    {
      name: "with dnsmasq and ulogd",
      request: WITH_DNSMASQ,
      files: [
        "600 ruleset.nft",
        "600 listing.json",
        "644 resolv.conf",
        "600 dnsmasq.conf",
        "600 dns-servers",
        "600 ulogd.conf",
      ],
    },
    {
      name: "without audit",
      request: withoutAudit(WITH_DNSMASQ),
      files: [
        "600 ruleset.nft",
        "600 listing.json",
        "644 resolv.conf",
        "600 dnsmasq.conf",
        "600 dns-servers",
      ],
    },
    {
      name: "in a static tier, without ulogd",
      request: STATIC,
      files: ["600 ruleset.nft", "600 listing.json", "644 resolv.conf", "600 hosts"],
    },
    {
      name: "in a static tier where dnsmasq is there",
      request: withoutAudit({ ...STATIC, facts: FULL_MACHINE }),
      files: ["600 ruleset.nft", "600 listing.json", "644 resolv.conf", "600 hosts"],
    },
  ])("$name", ({ request, files }) => {
    expect(listFiles(planBundle(request))).toEqual(["600 state.json", ...files, ...HOOKS, "600 bundle.json"]);
  });
});

describe("the manifest", () => {
  const parseManifest = (request: BundleRequest) => JSON.parse(contentOf(request, "manifest"));
  const digest = (text: string) => createHash("sha256").update(text).digest("hex");

  test.each([
    ["with dnsmasq", WITH_DNSMASQ],
    ["in a static tier", STATIC],
  ])("%s: has the digest of every file but the hooks, and of itself", (_, request) => {
    const { manifest, digest: seal } = parseManifest(request);
    const sealed = planBundle(request).filter(({ path }) => !/\/hooks\/|bundle.json$/.test(path));
    expect(manifest.files).toEqual(
      Object.fromEntries(sealed.map(({ path, content }) => [path.slice(BUNDLE.length + 1), digest(content)])),
    );
    expect(seal).toBe(digest(JSON.stringify(manifest)));
  });

  test("names the programs that this bundle needs, and no others", () => {
    const { podman: _, sed, node, dig, getent, slirp4netns, ...needed } = BARE_MACHINE.programs;
    expect(parseManifest(STATIC).manifest.programs).toEqual(needed);
    expect(parseManifest(WITH_DNSMASQ).manifest.programs).toEqual({
      ...needed,
      dnsmasq: "/usr/sbin/dnsmasq",
      ulogd: "/usr/sbin/ulogd",
    });
    expect(parseManifest(withoutAudit(WITH_DNSMASQ)).manifest.programs).toEqual({
      ...needed,
      dnsmasq: "/usr/sbin/dnsmasq",
    });
  });

  test("names no dnsmasq where that is gone: a change is made all the same, and the next start fails", () => {
    const { programs } = parseManifest({ ...WITH_DNSMASQ, facts: BARE_MACHINE }).manifest;
    expect(programs).not.toHaveProperty("dnsmasq");
  });

  test("says whose bundle it is and what to refuse", () => {
    const { files: _, programs: __, ...rest } = parseManifest(WITH_DNSMASQ).manifest;
    expect(rest).toEqual({
      version: BUNDLE_VERSION,
      container: "web",
      dns: { tier: "dnsmasq", learnedSets: { v4: "dns_v4", v6: "dns_v6" } },
      table: { family: "inet", name: "terok_shield" },
      protectedPaths: WITH_DNSMASQ.protectedPaths,
      isAudited: true,
      trustedMounts: ["/home/me/src"],
    });
    expect(parseManifest(STATIC).manifest.dns).toEqual({ tier: "dig" });
  });

  test("seals the state: one decision more is another digest of all that is made from it", () => {
    const { files } = parseManifest(WITH_DNSMASQ).manifest;
    const changed = ({ state }: BundleRequest) =>
      Object.entries(parseManifest({ ...WITH_DNSMASQ, state }).manifest.files)
        .filter(([file, value]) => files[file] !== value)
        .map(([file]) => file);
    const decided = (text: string) => withState({ profile: PROFILE, decisions: [decisionOf(text)] });
    expect(changed(decided("deny example.com"))).toEqual(["state.json", "dns-servers"]);
    expect(changed(decided("allow 198.18.0.7"))).toEqual(["state.json", "ruleset.nft", "listing.json"]);
  });
});

test("the state is written as it is, what is temporary and all", () => {
  const { state } = withState({
    decisions: [decisionOf("allow a.test --for 1m")],
    mode: { kind: "down", privateRanges: "open", run: RUN },
  });
  const text = contentOf({ ...WITH_DNSMASQ, state }, "state");
  expect(text).toBe(renderContainerState(state));
  expect(parseContainerState(text, "state.json")).toEqual(state);
});

describe("what the next start loads", () => {
  test("is the ruleset of the policy, with the listing that the kernel has to show for it", () => {
    const { policy, mode } = composePolicy(WITH_DNSMASQ.state, MOMENT);
    expect(mode).toEqual({ kind: "up" });
    expect(contentOf(WITH_DNSMASQ, "ruleset")).toBe(renderRulesetInParts(policy, mode)[0]);
    expect(JSON.parse(contentOf(WITH_DNSMASQ, "listing"))).toEqual(expectedListing(policy, mode));
    expect(contentOf(WITH_DNSMASQ, "ruleset")).toMatch(/^create table inet terok_shield\n/);
  });

  const loaded = (given: TestState, overrides: Partial<BundleRequest> = {}) => {
    const request = withState(given, overrides);
    return (["ruleset", "listing", "dnsServers", "hosts"] as const).map((file) => contentOf(request, file));
  };
  const decided = (...texts: string[]) => texts.map((text) => decisionOf(text));

  test.each<{ name: string; given: TestState; same: TestState }>([
    {
      name: "has no temporary allow in it",
      given: { decisions: decided("allow a.test --for 1m", "allow 198.18.0.7 --for 1m", "deny b.test") },
      same: { decisions: decided("deny b.test") },
    },
    {
      name: "denies again what is allowed for a time",
      given: { decisions: decided("deny 198.18.0.7", "allow 198.18.0.7 --for 1m") },
      same: { decisions: decided("deny 198.18.0.7") },
    },
    {
      name: "is not in bypass",
      given: { mode: { kind: "down", privateRanges: "open", run: RUN } },
      same: {},
    },
    {
      name: "has no deny that is over",
      given: { decisions: decided("deny 198.18.0.7 --for 10s", "deny a.test --for 10s") },
      same: {},
    },
  ])("$name", ({ given, same }) => {
    expect(loaded(given, { moment: later(10) })).toEqual(loaded(same));
    const fixed = { tier: "dig", profile: ["a.test"], resolved: { "a.test": ["198.18.0.9"] } } as const;
    expect(loaded({ ...fixed, ...given }, { moment: later(10) })).toEqual(loaded({ ...fixed, ...same }));
  });

  test("is blocked when the container is", () => {
    const request = withState({ mode: { kind: "block" } });
    const { policy } = composePolicy(request.state, MOMENT);
    expect(contentOf(request, "ruleset")).toBe(renderRulesetInParts(policy, { kind: "block" })[0]);
    expect(JSON.parse(contentOf(request, "listing"))).toEqual(expectedListing(policy, { kind: "block" }));
  });

  test("denies for what is left of a temporary deny", () => {
    const request = withState({ decisions: decided("deny 198.18.0.7 --for 1h") }, { moment: later(600) });
    expect(contentOf(request, "ruleset")).toMatch(/198\.18\.0\.7 timeout (50m|3000s)/);
  });

  test("has no hosts entry of a name that is closed", () => {
    const request = withState({
      tier: "dig",
      profile: ["a.test", "b.test"],
      resolved: { "a.test": ["198.18.0.7"], "b.test": ["198.18.0.8"], "c.test": ["198.18.0.9"] },
      decisions: decided("deny a.test", "allow c.test --for 1m"),
    });
    expect(contentOf(request, "hosts")).toBe("198.18.0.8\tb.test\n");
  });
});

describe("names", () => {
  test("with dnsmasq: the container asks it, and it asks the network for the allowed names", () => {
    expect(contentOf(WITH_DNSMASQ, "resolvConf")).toMatch(/^nameserver 127.0.0.1$/m);
    expect(contentOf(WITH_DNSMASQ, "dnsServers")).toBe(
      "server=/example.com/10.0.2.3\nserver=/*.example.com/\n",
    );
    const lines = contentOf(WITH_DNSMASQ, "dnsmasqConf").split("\n");
    expect(lines).toEqual(
      expect.arrayContaining([
        `servers-file=${BUNDLE}/dns-servers.active`,
        `pid-file=${BUNDLE}/dnsmasq.pid`,
        `log-facility=${BUNDLE}/dnsmasq.log`,
        "nftset=/#/4#inet#terok_shield#dns_v4,6#inet#terok_shield#dns_v6",
        "max-ttl=1800",
      ]),
    );
  });

  test("with ports of their own fill sets of their own, permanent and temporary", () => {
    const request = withState({
      profile: ["a.test:443"],
      decisions: [decisionOf("allow a.test --for 1m")],
    });
    expect(contentOf(request, "dnsmasqConf").split("\n")).toContain(
      "nftset=/a.test/4#inet#terok_shield#dns_1_v4,6#inet#terok_shield#dns_1_v6,4#inet#terok_shield#dns_2_v4,6#inet#terok_shield#dns_2_v6",
    );
  });

  test("in a static tier: they stand in a hosts file, and whatever else is asked fails at once", () => {
    expect(contentOf(STATIC, "hosts")).toBe("198.18.0.7\texample.com\n2001:2::7\texample.com\n");
    expect(contentOf(STATIC, "resolvConf")).toMatch(/^nameserver 127.0.0.1\noptions attempts:1 timeout:1$/m);
  });

  test("dnsmasq refuses answers in every private range, also in ranges that are no CIDR block", () => {
    const refused = contentOf(WITH_DNSMASQ, "dnsmasqConf")
      .split("\n")
      .flatMap((line) => /^bogus-nxdomain=(.*)$/.exec(line)?.[1] ?? [])
      .filter((range) => range !== "::ffff:0.0.0.0/96"); // Which parseIpRange reads as all of IPv4.
    expect(subtractRanges(PRIVATE_RANGES, refused.map(parseIpRange)).map(renderIpRange)).toEqual([
      "::ffff:0.0.0.0/96",
    ]);
    expect(subtractRanges(refused.map(parseIpRange), PRIVATE_RANGES)).toEqual([]);
    expect(refused.filter((range) => !/\/\d+$/.test(range))).toEqual([]);
  });
});

describe("what the resolver of a running container reads", () => {
  const MARKER = "r7-abc.terok-shield.invalid";
  const active = (given: TestState) => renderActiveServers(makeState(given), MOMENT, MARKER).split("\n");

  test("has the names of the bundle, those that are open for a time, and the marker", () => {
    const lines = active({ profile: PROFILE, decisions: [decisionOf("allow a.test --for 1m")] });
    expect(lines).toEqual(
      expect.arrayContaining([
        "server=/example.com/10.0.2.3",
        "server=/a.test/10.0.2.3",
        `server=/${MARKER}/`,
      ]),
    );
    expect(lines).not.toContain("server=10.0.2.3");
  });

  test("differs from what the next start reads by the marker alone, when nothing is temporary", () => {
    const text = renderActiveServers(WITH_DNSMASQ.state, MOMENT, MARKER);
    expect(text).toBe(`${contentOf(WITH_DNSMASQ, "dnsServers")}server=/${MARKER}/\n`);
  });

  test("has every name in bypass, but those that are denied", () => {
    const lines = active({
      decisions: [decisionOf("deny a.test"), decisionOf("deny b.test:443")],
      mode: { kind: "down", privateRanges: "closed", run: RUN },
    });
    expect(lines).toEqual(
      expect.arrayContaining(["server=10.0.2.3", "server=/a.test/", "server=/b.test/", `server=/${MARKER}/`]),
    );
  });
});

test("ulogd reads our group and writes one JSON line a packet into the bundle", () => {
  expect(contentOf(WITH_DNSMASQ, "ulogdConf")).toBe(
    [
      "[global]",
      `logfile="${BUNDLE}/ulogd.log"`,
      "loglevel=5",
      ...["inppkt_NFLOG", "raw2packet_BASE", "filter_IP2STR", "output_JSON"].map(
        (name) => `plugin="/usr/lib/x86_64-linux-gnu/ulogd/ulogd_${name}.so"`,
      ),
      "stack=log1:NFLOG,base1:BASE,ip1:IP2STR,json1:JSON",
      "[log1]",
      "group=100",
      "netlink_socket_buffer_size=1048576",
      "netlink_socket_buffer_maxsize=4194304",
      "netlink_qtimeout=2",
      "[json1]",
      `file="${BUNDLE}/packets.jsonl"`,
      "sync=1",
      "",
    ].join("\n"),
  );
});
