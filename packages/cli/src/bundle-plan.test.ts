import { createHash } from "node:crypto";
import { BUNDLE_FILE, BUNDLE_VERSION } from "@terok-shield/hook-entrypoint/contract";
import { PRIVATE_RANGES, parseIpRange, renderIpRange, subtractRanges } from "@terok-shield/nft-ruleset";
import { parseProfile } from "@terok-shield/profiles";
import { describe, expect, test } from "vitest";
import { BARE_MACHINE, FULL_MACHINE } from "../testing/test-host.ts";
import { type BundleRequest, type PlannedFile, planBundle } from "./bundle-plan.ts";
import { planEgress, withResolved } from "./egress-plan.ts";
import { planNetwork } from "./rootless-network.ts";

const BUNDLE = "/home/me/.local/state/terok/shield/containers/web";
const NETWORK = planNetwork("slirp4netns", []);

function planFor(tier: BundleRequest["tier"]) {
  return planEgress({
    entries: parseProfile("example.com\n203.0.113.0/24\n", {
      file: "mine.txt",
      canonicaliseRange: (text) => renderIpRange(parseIpRange(text)),
    }),
    tier,
    network: NETWORK,
    published: [],
    loopbackPorts: [],
    dnsTimeoutSeconds: 1800,
  });
}

const WITH_DNSMASQ: BundleRequest = {
  container: "web",
  directory: BUNDLE,
  egress: planFor("dnsmasq"),
  resolved: new Map(),
  tier: "dnsmasq",
  upstream: NETWORK.upstream,
  dnsTimeoutSeconds: 1800,
  facts: FULL_MACHINE,
  hookEntrypoint: "/opt/terok-shield/terok-shield-hook.js",
  auditEnabled: true,
  protectedPaths: { unwritable: ["/home/me/.config/containers"], unreachable: ["/run/podman"] },
  trustedMounts: ["/home/me/src"],
};

const RESOLVED = new Map([["example.com", ["198.18.0.7", "2001:2::7"]]]);

const STATIC: BundleRequest = {
  ...WITH_DNSMASQ,
  egress: withResolved(planFor("dig"), RESOLVED),
  resolved: RESOLVED,
  tier: "dig",
  facts: BARE_MACHINE,
};

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

describe("the files and their order: the manifest seals what was written before it", () => {
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
      request: { ...WITH_DNSMASQ, auditEnabled: false },
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
      request: { ...STATIC, facts: FULL_MACHINE, auditEnabled: false },
      files: ["600 ruleset.nft", "600 listing.json", "644 resolv.conf", "600 hosts"],
    },
  ])("$name", ({ request, files }) => {
    expect(listFiles(planBundle(request))).toEqual([...files, ...HOOKS, "600 bundle.json"]);
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
    expect(parseManifest({ ...WITH_DNSMASQ, auditEnabled: false }).manifest.programs).toEqual({
      ...needed,
      dnsmasq: "/usr/sbin/dnsmasq",
    });
  });

  test("says whose bundle it is and what to refuse", () => {
    const { files: _, programs: __, ...rest } = parseManifest(WITH_DNSMASQ).manifest;
    expect(rest).toEqual({
      version: BUNDLE_VERSION,
      container: "web",
      dns: { tier: "dnsmasq", learnedSets: { v4: "dns_v4", v6: "dns_v6" } },
      table: { family: "inet", name: "terok_shield" },
      protectedPaths: WITH_DNSMASQ.protectedPaths,
      trustedMounts: ["/home/me/src"],
    });
    expect(parseManifest(STATIC).manifest.dns).toEqual({ tier: "dig" });
  });

  test("one byte more in the policy is another digest", () => {
    const other = { ...WITH_DNSMASQ, upstream: "10.0.2.4" };
    const { files } = parseManifest(WITH_DNSMASQ).manifest;
    const changed = Object.entries(parseManifest(other).manifest.files).filter(
      ([file, value]) => files[file] !== value,
    );
    expect(changed.map(([file]) => file)).toEqual(["dns-servers"]);
  });
});

test("a listing stands beside the ruleset, as the kernel has to show it", () => {
  const listing: string[] = JSON.parse(contentOf(WITH_DNSMASQ, "listing"));
  expect(listing.map((line) => Object.keys(JSON.parse(line))[0])).toContain("rule");
  expect(contentOf(WITH_DNSMASQ, "ruleset")).toMatch(
    /^table inet terok_shield\ndelete table inet terok_shield\n/,
  );
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
      "[json1]",
      `file="${BUNDLE}/packets.jsonl"`,
      "sync=1",
      "",
    ].join("\n"),
  );
});
