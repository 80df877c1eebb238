import { createHash } from "node:crypto";
import { renderDnsmasqConfig, renderHostsFile, renderServersFile } from "@terok-shield/dns-tier";
import {
  BUNDLE_FILE,
  BUNDLE_VERSION,
  type BundleManifest,
  NEXT_TRANSACTION,
} from "@terok-shield/hook-entrypoint/contract";
import {
  coversRange,
  expectedListing,
  type IpRange,
  LEARNED_SETS,
  LOG_GROUP,
  PRIVATE_RANGES,
  parseIpRange,
  renderIpRange,
  renderRulesetInParts,
  subtractRanges,
  TABLE,
} from "@terok-shield/nft-ruleset";
import type { EgressPlan } from "./egress-plan.ts";
import { type HookPaths, renderHookDescriptors } from "./hook-descriptors.ts";
import type { HostFacts } from "./host/host-facts.ts";

export interface BundleRequest {
  readonly container: string;
  readonly directory: string;
  readonly egress: EgressPlan;
  /** Of a static tier: what each name resolved to. */
  readonly resolved: ReadonlyMap<string, readonly string[]>;
  readonly tier: BundleManifest["dns"]["tier"];
  readonly upstream: string;
  readonly dnsTimeoutSeconds: number;
  readonly facts: HostFacts;
  readonly hookEntrypoint: string;
  readonly auditEnabled: boolean;
  readonly protectedPaths: BundleManifest["protectedPaths"];
  readonly trustedMounts: readonly string[];
}

export interface PlannedFile {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
}

/** Every file of a container's bundle, in the order in which to write them: the manifest seals the others. */
export function planBundle(request: BundleRequest): PlannedFile[] {
  const { directory, egress } = request;
  const path = (file: keyof typeof BUNDLE_FILE) => `${directory}/${BUNDLE_FILE[file]}`;
  const up = { kind: "up" } as const;
  const sealed: Partial<Record<keyof typeof BUNDLE_FILE, string>> = {
    ruleset: renderRulesetInParts(egress.policy, up).join(NEXT_TRANSACTION),
    listing: `${JSON.stringify(expectedListing(egress.policy, up))}\n`,
    resolvConf: renderResolvConf(request.tier),
    ...(request.tier === "dnsmasq"
      ? {
          dnsmasqConf: renderDnsmasq(request, path),
          dnsServers: renderServersFile(egress.names, request.upstream),
        }
      : { hosts: renderHostsFile(request.resolved) }),
    ...(readsPackets(request) ? { ulogdConf: renderUlogdConf(request, path) } : {}),
  };
  const files = Object.entries(sealed) as [keyof typeof BUNDLE_FILE, string][];
  const manifest = planManifest(
    request,
    Object.fromEntries(files.map(([file, text]) => [BUNDLE_FILE[file], digest(text)])),
  );
  return [
    ...files.map(([file, content]) => ({
      path: path(file),
      content,
      // Mounted into the container, where any user may look up names.
      mode: file === "resolvConf" ? 0o644 : 0o600,
    })),
    ...Object.entries(renderHookDescriptors(hookPaths(request))).map(([name, content]) => ({
      path: `${path("hooks")}/${name}`,
      content,
      mode: 0o600,
    })),
    { path: path("manifest"), content: sealManifest(manifest), mode: 0o600 },
  ];
}

function planManifest(request: BundleRequest, files: Record<string, string>): BundleManifest {
  const { nft, nsenter, setpriv, dnsmasq, ulogd } = request.facts.programs;
  return {
    version: BUNDLE_VERSION,
    container: request.container,
    dns: request.tier === "dnsmasq" ? { tier: "dnsmasq", learnedSets: LEARNED_SETS } : { tier: request.tier },
    table: TABLE,
    programs: {
      nft,
      nsenter,
      setpriv,
      ...(request.tier === "dnsmasq" && dnsmasq !== undefined ? { dnsmasq: dnsmasq.path } : {}),
      ...(readsPackets(request) && ulogd !== undefined ? { ulogd: ulogd.path } : {}),
    },
    protectedPaths: request.protectedPaths,
    trustedMounts: request.trustedMounts,
    files,
  };
}

function sealManifest(manifest: BundleManifest): string {
  return `${JSON.stringify({ manifest, digest: digest(JSON.stringify(manifest)) })}\n`;
}

function hookPaths({ facts, hookEntrypoint, directory }: BundleRequest): HookPaths {
  return {
    node: facts.programs.node,
    nsenter: facts.programs.nsenter,
    sed: facts.programs.sed,
    hookEntrypoint,
    stateDirectory: directory,
  };
}

function renderResolvConf(tier: string): string {
  if (tier === "dnsmasq") return "# terok-shield: only allowed names are answered\nnameserver 127.0.0.1\n";
  return "# terok-shield: no DNS; allowed names are in /etc/hosts\nnameserver 127.0.0.1\noptions attempts:1 timeout:1\n";
}

function renderDnsmasq(
  { facts, dnsTimeoutSeconds }: BundleRequest,
  path: (file: keyof typeof BUNDLE_FILE) => string,
): string {
  if (facts.programs.dnsmasq === undefined) throw new Error("the dnsmasq tier needs dnsmasq");
  return renderDnsmasqConfig({
    version: facts.programs.dnsmasq.facts.version,
    serversFile: path("activeDnsServers"),
    pidFile: path("dnsmasqPid"),
    logFile: path("dnsmasqLog"),
    sets: { family: TABLE.family, table: TABLE.name, ...LEARNED_SETS },
    maximumTtlSeconds: dnsTimeoutSeconds,
    refusedAnswers: PRIVATE_RANGES.flatMap(splitIntoBlocks),
  });
}

/** dnsmasq's option takes CIDR blocks only, and merged ranges may be addresses or no block at all. */
function splitIntoBlocks(range: IpRange): string[] {
  const [first = "", last] = renderIpRange(range).split("-");
  const longest = range.family === 4 ? 32 : 128;
  if (last === undefined) return [first.includes("/") ? first : `${first}/${longest}`];
  const blocks = Array.from({ length: longest + 1 }, (_, length) => parseIpRange(`${first}/${length}`));
  const block = blocks.find((candidate) => coversRange([range], candidate)) ?? range;
  return [block, ...subtractRanges([range], [block])].flatMap(splitIntoBlocks);
}

function readsPackets({ auditEnabled, facts }: BundleRequest): boolean {
  return auditEnabled && facts.programs.ulogd !== undefined;
}

/** ulogd.conf of the ulogd2 manual: packets of our group, one JSON line each. */
function renderUlogdConf({ facts }: BundleRequest, path: (file: keyof typeof BUNDLE_FILE) => string): string {
  const plugins = facts.programs.ulogd?.plugins ?? "";
  const names = ["inppkt_NFLOG", "raw2packet_BASE", "filter_IP2STR", "output_JSON"];
  return [
    "[global]",
    `logfile="${path("ulogdLog")}"`,
    "loglevel=5",
    ...names.map((name) => `plugin="${plugins}/ulogd_${name}.so"`),
    "stack=log1:NFLOG,base1:BASE,ip1:IP2STR,json1:JSON",
    "[log1]",
    `group=${LOG_GROUP}`,
    "[json1]",
    `file="${path("packetLog")}"`,
    "sync=1",
    "",
  ].join("\n");
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
