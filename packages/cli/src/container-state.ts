import { type EgressPolicy, type IpRange, parseIpRange, renderIpRange } from "@terok-shield/nft-ruleset";
import { z } from "zod";
import { ShieldError } from "./shield-error.ts";

const port = z.int().min(1).max(65535);
const ranges = z.array(z.string());
const published = z.array(z.strictObject({ protocol: z.enum(["tcp", "udp"]), port }));

const schema = z.strictObject({
  version: z.literal(1),
  container: z.string(),
  /** What was asked for: a later start asks for the same. */
  request: z.strictObject({
    profiles: z.array(z.string()),
    published,
    trustedMounts: z.array(z.string()),
    network: z.enum(["slirp4netns", "pasta"]),
    loopbackPorts: z.array(port),
  }),
  tier: z.enum(["dnsmasq", "dig", "getent"]),
  /** The policy that the bundle's ruleset was rendered from. */
  policy: z.strictObject({
    allow: ranges,
    deny: ranges,
    learned: z.discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("by-resolver"), timeoutSeconds: z.int().positive() }),
      z.strictObject({ kind: z.literal("fixed"), ranges }),
    ]),
    upstream: z.string().optional(),
    reserved: ranges,
    hostLoopback: z.strictObject({ addresses: ranges, ports: z.array(port) }).optional(),
    published,
  }),
  names: z.strictObject({ exact: z.array(z.string()), wildcards: z.array(z.string()) }),
});

type StateFile = z.infer<typeof schema>;

/** `state.json`: the one record of a container's policy that everything else in its bundle is made from. */
export interface ContainerState {
  readonly container: string;
  readonly request: StateFile["request"];
  readonly tier: StateFile["tier"];
  readonly policy: EgressPolicy;
  readonly names: StateFile["names"];
}

export function renderContainerState({ container, request, tier, policy, names }: ContainerState): string {
  const text = (list: readonly IpRange[]) => list.map(renderIpRange);
  const { hostLoopback, upstream, learned } = policy;
  const file: StateFile = {
    version: 1,
    container,
    request,
    tier,
    policy: {
      allow: text(policy.allow),
      deny: text(policy.deny),
      learned: learned.kind === "fixed" ? { kind: "fixed", ranges: text(learned.ranges) } : learned,
      ...(upstream === undefined ? {} : { upstream: renderIpRange(upstream) }),
      reserved: text(policy.reserved),
      ...(hostLoopback === undefined
        ? {}
        : { hostLoopback: { addresses: text(hostLoopback.addresses), ports: [...hostLoopback.ports] } }),
      published: [...policy.published],
    },
    names: { exact: [...names.exact], wildcards: [...names.wildcards] },
  };
  return `${JSON.stringify(file)}\n`;
}

/** @throws ShieldError when the file is damaged or of another version. */
export function parseContainerState(text: string, file: string): ContainerState {
  try {
    const state = schema.parse(JSON.parse(text));
    const { hostLoopback, upstream, learned, ...rest } = state.policy;
    const list = (texts: readonly string[]) => texts.map(parseIpRange);
    return {
      ...state,
      policy: {
        ...rest,
        allow: list(rest.allow),
        deny: list(rest.deny),
        reserved: list(rest.reserved),
        learned: learned.kind === "fixed" ? { kind: "fixed", ranges: list(learned.ranges) } : learned,
        ...(upstream === undefined ? {} : { upstream: parseIpRange(upstream) }),
        ...(hostLoopback === undefined
          ? {}
          : { hostLoopback: { addresses: list(hostLoopback.addresses), ports: hostLoopback.ports } }),
      },
    };
  } catch (cause) {
    throw new ShieldError(`${file} is damaged or of another version. Run terok-shield prepare again.`, {
      cause,
    });
  }
}
