import { cleanText } from "@terok-shield/audit";
import type { ExplainedPart, ExplainedTarget, Explanation } from "../commands/explain.ts";

/** The destination and its verdict, beneath it who decided for which addresses and ports, and what would turn it round. */
export function renderExplanation({ container, targets }: Explanation): string {
  return targets.map((target) => renderTarget(container, target)).join("");
}

/** The document of `--json`. */
export function renderExplanationJson({ container, targets }: Explanation): string {
  const document = {
    container,
    targets: targets.map(({ hint, parts, ...target }) => {
      const by = new Set(parts.map((part) => part.by));
      return {
        ...target,
        by: by.size === 1 ? [...by][0] : "several",
        parts: parts.map(({ services, ...part }) => ({ ...part, ports: renderServices(services) })),
        ...(hint === undefined ? {} : { hint: renderCommand(container, hint.command) }),
      };
    }),
  };
  return `${JSON.stringify(document)}\n`;
}

function renderTarget(container: string, { target, verdict, parts, hint }: ExplainedTarget): string {
  const lines = [
    `${target}  ${verdict === "partly" ? "passes in part" : verdict === "unknown" ? "cannot tell" : verdict}`,
    ...disagreementsOf(parts).map((text) => `    the kernel and the policy disagree: ${text}`),
    ...joinAddresses(parts).flatMap((part) => renderPart(part, verdict)),
    ...(hint === undefined ? [] : [`    ${HINTS[hint.to]}: ${renderCommand(container, hint.command)}`]),
  ];
  return `${lines.map(cleanText).join("\n")}\n`;
}

const HINTS = {
  open: "to open it",
  close: "to close it",
  end: "to end that",
  repair: "to make them agree",
} as const;

function disagreementsOf(parts: readonly ExplainedPart[]): string[] {
  return [
    ...new Set(parts.flatMap(({ disagreement }) => (disagreement === undefined ? [] : [disagreement]))),
  ];
}

interface JoinedPart extends Omit<ExplainedPart, "address"> {
  readonly addresses: readonly string[];
}

/** Addresses of which the same is true are named together. */
function joinAddresses(parts: readonly ExplainedPart[]): JoinedPart[] {
  const joined = new Map<string, JoinedPart>();
  for (const { address, ...part } of parts) {
    const key = `${part.text} ${renderServices(part.services)}`;
    const addresses = [...(joined.get(key)?.addresses ?? []), ...(address === undefined ? [] : [address])];
    joined.set(key, { ...(joined.get(key) ?? part), addresses });
  }
  return [...joined.values()];
}

function renderPart(
  { addresses, services, text, rules }: JoinedPart,
  verdict: ExplainedTarget["verdict"],
): string[] {
  const where = [...addresses, renderServices(services)].join(" ");
  const [first] = rules;
  return [
    `    ${where}`,
    `        ${text}`,
    ...(first === undefined || verdict === "unknown" ? [] : [`        by the rule ${first}`]),
  ];
}

/** `every port`, `443/tcp 8000-8010/udp`; protocols without ports are `others`. */
function renderServices(services: ExplainedPart["services"]): string {
  const isWhole = (protocol: string) =>
    services.some(
      (service) => service.protocol === protocol && service.first === 1 && service.last === 65_535,
    );
  const hasOthers = services.some(({ protocol }) => protocol === "icmp");
  if (isWhole("tcp") && isWhole("udp") && hasOthers) return "every port";
  return services
    .map(({ protocol, first, last }) => {
      if (protocol === "icmp") return "others";
      if (first === 1 && last === 65_535) return `every port of ${protocol}`;
      return `${first === last ? first : `${first}-${last}`}/${protocol}`;
    })
    .join(" ");
}

function renderCommand(container: string, [verb = "", ...rest]: readonly string[]): string {
  const [flags, operands] = [
    rest.filter((word) => word.startsWith("-")),
    rest.filter((word) => !word.startsWith("-")),
  ];
  return ["terok-shield", verb, ...flags, container, ...operands].join(" ");
}
