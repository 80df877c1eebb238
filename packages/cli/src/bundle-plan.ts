import { createHash } from "node:crypto";
import {
  renderDnsmasqConfig,
  renderHostsFile,
  renderOpenServersFile,
  renderServersFile,
} from "@terok-shield/dns-tier";
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
  LOG_GROUP,
  learnedSets,
  PRIVATE_RANGES,
  parseIpRange,
  renderIpRange,
  renderRulesetInParts,
  subtractRanges,
  TABLE,
} from "@terok-shield/nft-ruleset";
import { type Composition, composePolicy, openExactNames } from "./compose-policy.ts";
import { type ContainerState, renderContainerState } from "./container-state.ts";
import { forNextStart } from "./expiry.ts";
import { type HookPaths, renderHookDescriptors } from "./hook-descriptors.ts";
import type { HostFacts } from "./host/host-facts.ts";
import type { Moment } from "./host/moment.ts";

export interface BundleRequest {
  readonly state: ContainerState;
  readonly moment: Moment;
  readonly directory: string;
  readonly facts: Pick<HostFacts, "programs">;
  readonly hookEntrypoint: string;
  readonly protectedPaths: BundleManifest["protectedPaths"];
}

export interface PlannedFile {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
}

/**
 * Every file of a container's bundle, in the order in which to write them: the state comes first, since all is made from it,
 * and the manifest, which seals the others, last. What the next start loads has no temporary allow and no bypass in it.
 */
export function planBundle(request: BundleRequest): PlannedFile[] {
  const { state, moment } = request;
  const path = pathIn(request.directory);
  const next = forNextStart(state, moment);
  const start = composePolicy(next, moment);
  const sealed: Partial<Record<keyof typeof BUNDLE_FILE, string>> = {
    state: renderContainerState(state),
    ruleset: renderRulesetInParts(start.policy, start.mode).join(NEXT_TRANSACTION),
    listing: `${JSON.stringify(expectedListing(start.policy, start.mode))}\n`,
    resolvConf: renderResolvConf(state.tier),
    ...(state.tier === "dnsmasq"
      ? {
          dnsmasqConf: renderDnsmasq(request, composePolicy(state, moment)),
          dnsServers: renderServersFile(start.names, upstreamOf(state)),
        }
      : { hosts: renderHosts(next) }),
    ...(readsPackets(request) ? { ulogdConf: renderUlogdConf(request) } : {}),
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

/** What the resolver of the running container reads: all that is open now, in bypass everything but what is denied. */
export function renderActiveServers(state: ContainerState, moment: Moment, marker: string): string {
  const { mode, names, closedInBypass } = composePolicy(state, moment);
  return mode.kind === "down"
    ? renderOpenServersFile(closedInBypass, upstreamOf(state), marker)
    : renderServersFile(names, upstreamOf(state), marker);
}

function upstreamOf({ network }: ContainerState): string {
  if (network.upstream === undefined) throw new Error("the dnsmasq tier needs an upstream");
  return renderIpRange(network.upstream);
}

/** What the container finds in its hosts file: names that are closed stay out. */
function renderHosts(state: ContainerState): string {
  const open = new Set(openExactNames(state));
  return renderHostsFile(new Map([...state.resolved].filter(([name]) => open.has(name))));
}

function pathIn(directory: string): (file: keyof typeof BUNDLE_FILE) => string {
  return (file) => `${directory}/${BUNDLE_FILE[file]}`;
}

function planManifest(request: BundleRequest, files: Record<string, string>): BundleManifest {
  const { nft, nsenter, setpriv, dnsmasq, ulogd } = request.facts.programs;
  const { container, tier, request: asked } = request.state;
  return {
    version: BUNDLE_VERSION,
    container,
    dns: tier === "dnsmasq" ? { tier, learnedSets: learnedSets(0) } : { tier },
    table: TABLE,
    programs: {
      nft,
      nsenter,
      setpriv,
      ...(tier === "dnsmasq" && dnsmasq !== undefined ? { dnsmasq: dnsmasq.path } : {}),
      ...(readsPackets(request) && ulogd !== undefined ? { ulogd: ulogd.path } : {}),
    },
    protectedPaths: request.protectedPaths,
    isAudited: request.state.auditEnabled,
    trustedMounts: asked.trustedMounts,
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

/** Where dnsmasq is gone from the machine, a change has to come into force all the same. */
const OLDEST_DNSMASQ = [2, 87] as const;

/**
 * With temporary names in it too, so that a running container's resolver can start from it. A start without them has not
 * all of the sets that their lines name, and dnsmasq fills those that are there.
 */
function renderDnsmasq({ state, facts, directory }: BundleRequest, { names }: Composition): string {
  const path = pathIn(directory);
  return renderDnsmasqConfig({
    version: facts.programs.dnsmasq?.facts.version ?? OLDEST_DNSMASQ,
    serversFile: path("activeDnsServers"),
    pidFile: path("dnsmasqPid"),
    logFile: path("dnsmasqLog"),
    table: TABLE,
    learnedSets,
    names,
    maximumTtlSeconds: state.dnsTimeoutSeconds,
    refusedAnswers: PRIVATE_RANGES.flatMap(splitIntoBlocks),
  });
}

/** dnsmasq's option takes CIDR blocks only, and merged ranges may be addresses or no block at all. */
function splitIntoBlocks(range: IpRange): string[] {
  const [first = "", last] = renderIpRange(range).split("-");
  const longest = range.family === 4 ? 32 : 128;
  if (last === undefined) return [first.includes("/") ? first : `${first}/${longest}`];
  let length = 0;
  while (!coversRange([range], parseIpRange(`${first}/${length}`))) length++;
  const block = parseIpRange(`${first}/${length}`);
  return [block, ...subtractRanges([range], [block])].flatMap(splitIntoBlocks);
}

function readsPackets({ state, facts }: BundleRequest): boolean {
  return state.auditEnabled && facts.programs.ulogd !== undefined;
}

/** ulogd.conf of the ulogd2 manual: packets of our group, one JSON line each. */
function renderUlogdConf({ facts, directory }: BundleRequest): string {
  const path = pathIn(directory);
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
    // Of bytes, for a burst while ulogd waits for a processor.
    "netlink_socket_buffer_size=1048576",
    "netlink_socket_buffer_maxsize=4194304",
    // How long the kernel waits for more to hand over at once, in 1/100 s.
    "netlink_qtimeout=2",
    "[json1]",
    `file="${path("packetLog")}"`,
    "sync=1",
    "",
  ].join("\n");
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
