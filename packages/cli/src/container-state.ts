import { type EgressPolicy, type IpRange, parseIpRange, renderIpRange } from "@terok-shield/nft-ruleset";
import { type AllowlistEntry, type ProfileEntry, parseEntry, renderEntry } from "@terok-shield/profiles";
// What each command loads has to be quick to load: `zod` takes ten times as long.
import * as z from "zod/mini";
import { canonicaliseRange, type Decision } from "./decision.ts";
import { LONGEST_SECONDS } from "./duration.ts";
import type { Lease } from "./lease.ts";
import { ShieldError } from "./shield-error.ts";

/** What an operator chose for the whole container. */
export type ContainerMode =
  | { readonly kind: "up" }
  | { readonly kind: "block" }
  | {
      readonly kind: "down";
      readonly privateRanges: "closed" | "open";
      /** It ends with this run, as `runIdOf` names it. */
      readonly run: string;
      readonly lease?: Lease;
    };

/** `state.json`: the one record of a container's policy that everything else in its bundle is made from. */
export interface ContainerState {
  readonly container: string;
  /** Number of this policy: each change counts on, and the kernel carries it too. */
  readonly revision: number;
  /** What was asked for: a later start asks for the same. */
  readonly request: {
    readonly profiles: readonly string[];
    readonly published: EgressPolicy["published"];
    readonly trustedMounts: readonly string[];
    readonly network: "slirp4netns" | "pasta";
    readonly loopbackPorts: readonly number[];
  };
  readonly tier: "dnsmasq" | "dig" | "getent";
  readonly auditEnabled: boolean;
  /** How long an address that a name led to stays open unused. */
  readonly dnsTimeoutSeconds: number;
  /** The profiles' entries as of the last prepare. */
  readonly entries: readonly ProfileEntry[];
  /** In a static tier: name -> addresses. */
  readonly resolved: ReadonlyMap<string, readonly string[]>;
  readonly network: Pick<EgressPolicy, "upstream" | "reserved" | "hostLoopback">;
  /** Oldest first. Of one entry there is at most one permanent and one temporary. */
  readonly decisions: readonly Decision[];
  readonly mode: ContainerMode;
  /** Numbers of the sets that names with ports, or for a time, have for themselves. */
  readonly scopes: { readonly nextId: number; readonly byKey: ReadonlyMap<string, number> };
  /** 16 bits each, parts of connection marks: flows of an older generation are judged anew. */
  readonly queryGeneration: number;
  readonly flowGeneration: number;
}

/** What only prepare knows; the rest begins as nothing decided. */
export type NewContainer = Omit<
  ContainerState,
  "revision" | "decisions" | "mode" | "scopes" | "queryGeneration" | "flowGeneration"
>;

/** The state of a container of which nobody has decided anything. */
export function newContainerState(container: NewContainer): ContainerState {
  return {
    ...container,
    revision: 0,
    decisions: [],
    mode: { kind: "up" },
    scopes: { nextId: 1, byKey: new Map() },
    queryGeneration: 0,
    flowGeneration: 0,
  };
}

const VERSION = 2;
export const HIGHEST_SCOPE = 65_535;

const port = integer(1, 65_535);
const generation = integer(0, 0xffff);
const scopeId = integer(1, HIGHEST_SCOPE);
const time = z.iso.datetime();
const range = parsed(parseIpRange);
const entry = parsed(readEntry);

const lease = z.strictObject({
  until: time,
  seconds: z.number().check(z.positive(), z.maximum(LONGEST_SECONDS)),
  bootId: z.string(),
  deadline: z.number(),
  run: z.optional(z.string()),
});

const schema = z.strictObject({
  version: z.literal(VERSION),
  container: z.string(),
  revision: integer(1),
  request: z.strictObject({
    profiles: z.array(z.string()),
    published: z.array(z.strictObject({ protocol: z.enum(["tcp", "udp"]), port })),
    trustedMounts: z.array(z.string()),
    network: z.enum(["slirp4netns", "pasta"]),
    loopbackPorts: z.array(port),
  }),
  tier: z.enum(["dnsmasq", "dig", "getent"]),
  auditEnabled: z.boolean(),
  dnsTimeoutSeconds: integer(1),
  entries: z.array(z.strictObject({ entry, file: z.string(), line: integer(1) })),
  resolved: z.record(parsed(readName), z.array(parsed(readAddress))),
  network: z.strictObject({
    upstream: z.optional(range),
    reserved: z.array(range),
    hostLoopback: z.optional(z.strictObject({ addresses: z.array(range), ports: z.array(port) })),
  }),
  decisions: z
    .array(
      z.strictObject({
        verdict: z.enum(["allow", "deny"]),
        entry,
        decidedAt: time,
        lease: z.optional(lease),
      }),
    )
    .check(z.refine(hasOneOfAKind)),
  mode: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("up") }),
    z.strictObject({ kind: z.literal("block") }),
    z.strictObject({
      kind: z.literal("down"),
      privateRanges: z.enum(["closed", "open"]),
      run: z.string(),
      lease: z.optional(lease),
    }),
  ]),
  scopes: z.strictObject({
    nextId: scopeId,
    byKey: z.record(z.string(), scopeId).check(z.refine((byKey) => isUnique(Object.values(byKey)))),
  }),
  queryGeneration: generation,
  flowGeneration: generation,
});

type StateFile = z.input<typeof schema>;

/** Writes a state as `parseContainerState` reads it, on one line. */
export function renderContainerState(state: ContainerState): string {
  const { upstream, reserved, hostLoopback } = state.network;
  const { profiles, published, trustedMounts, network, loopbackPorts } = state.request;
  const file: StateFile = {
    version: VERSION,
    container: state.container,
    revision: state.revision,
    request: {
      profiles: [...profiles],
      published: [...published],
      trustedMounts: [...trustedMounts],
      network,
      loopbackPorts: [...loopbackPorts],
    },
    tier: state.tier,
    auditEnabled: state.auditEnabled,
    dnsTimeoutSeconds: state.dnsTimeoutSeconds,
    entries: state.entries.map(({ source, ...target }) => ({ entry: renderEntry(target), ...source })),
    resolved: Object.fromEntries([...state.resolved].map(([name, addresses]) => [name, [...addresses]])),
    network: {
      ...(upstream === undefined ? {} : { upstream: renderIpRange(upstream) }),
      reserved: reserved.map(renderIpRange),
      ...(hostLoopback === undefined
        ? {}
        : {
            hostLoopback: {
              addresses: hostLoopback.addresses.map(renderIpRange),
              ports: [...hostLoopback.ports],
            },
          }),
    },
    decisions: state.decisions.map((decision) => ({ ...decision, entry: renderEntry(decision.entry) })),
    mode: state.mode,
    scopes: { nextId: state.scopes.nextId, byKey: Object.fromEntries(state.scopes.byKey) },
    queryGeneration: state.queryGeneration,
    flowGeneration: state.flowGeneration,
  };
  return `${JSON.stringify(file)}\n`;
}

/**
 * Reads `state.json`, which anybody with the owner's rights may have written.
 * @throws ShieldError saying how to go on when it is damaged or of another version.
 */
export function parseContainerState(text: string, file: string): ContainerState {
  const json = parseJson(text);
  const version = versionOf(json);
  if (version === 1) {
    throw new ShieldError(
      `${file} is of an earlier version of terok-shield. Run terok-shield prepare again for this container.`,
    );
  }
  // Compiling a parser takes longer than parsing once.
  const result = schema.safeParse(json, { jitless: true });
  if (!result.success) {
    throw new ShieldError(
      `${file} is damaged or of another version, so nobody knows what was allowed and denied. Remove the file, run terok-shield prepare again, and decide anew.`,
      { cause: describeIssue(result.error.issues[0]) },
    );
  }
  const { version: _, entries, resolved, scopes, ...state } = result.data;
  return {
    ...state,
    entries: entries.map(({ entry: target, ...source }) => ({ ...target, source })),
    resolved: new Map(Object.entries(resolved)),
    scopes: { nextId: scopes.nextId, byKey: new Map(Object.entries(scopes.byKey)) },
  } as ContainerState;
}

function describeIssue(issue: z.core.$ZodIssue | undefined): Error {
  return new Error(`${issue?.path.join(".")}: ${issue?.message}`);
}

/** True for a state that knew no decisions, so that a new one may take its place. */
export function isBeforeDecisions(text: string): boolean {
  return versionOf(parseJson(text)) === 1;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function versionOf(json: unknown): unknown {
  return typeof json === "object" && json !== null && "version" in json ? json.version : undefined;
}

function integer(least: number, most = Number.MAX_SAFE_INTEGER): z.ZodMiniNumberFormat {
  return z.int().check(z.minimum(least), z.maximum(most));
}

/** A text that a parser of ours takes. */
function parsed<Value>(
  parse: (text: string) => Value,
): z.ZodMiniPipe<z.ZodMiniString, z.ZodMiniTransform<Value, string>> {
  return z.pipe(
    z.string(),
    z.transform((text: string, context) => {
      try {
        return parse(text);
      } catch (cause) {
        context.issues.push({ code: "custom", input: text, message: (cause as Error).message });
        return z.NEVER;
      }
    }),
  );
}

function readEntry(text: string): AllowlistEntry {
  // What is recorded was accepted when it was decided.
  const target = parseEntry(text, { canonicaliseRange, allowPublicSuffixWildcards: true });
  if (renderEntry(target) !== text)
    throw new Error(`${JSON.stringify(text)} is not how the entry is written`);
  return target;
}

function readName(text: string): string {
  const target = readEntry(text);
  if (target.kind !== "name" || target.ports !== undefined) {
    throw new Error(`${JSON.stringify(text)} is not a name`);
  }
  return text;
}

function readAddress(text: string): string {
  const address: IpRange = parseIpRange(text);
  if (address.first !== address.last) throw new Error(`${JSON.stringify(text)} is not one address`);
  return text;
}

function hasOneOfAKind(decisions: readonly { entry: AllowlistEntry; lease?: unknown }[]): boolean {
  return isUnique(
    decisions.map(({ entry: target, lease: end }) => `${renderEntry(target)} ${end !== undefined}`),
  );
}

function isUnique(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length;
}
