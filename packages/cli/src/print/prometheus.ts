import { PACKET_VERDICTS } from "@terok-shield/audit";
import type { ContainerStatus } from "../commands/status.ts";
import { type ContainerStats, REFUSAL_REASONS } from "../stats.ts";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number | undefined];

interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly samples: (stats: ContainerStats) => readonly Sample[];
}

const STATES = [
  "up",
  "down",
  "down_all",
  "block",
  "stopped",
  "unprotected",
  "error",
] as const satisfies readonly ContainerStatus["kind"][];

/** Counters begin anew with each run of a container; those of a run that is over are shown until the next. */
const METRICS: readonly Metric[] = [
  {
    name: "terok_shield_info",
    type: "gauge",
    help: "A shielded container, always 1.",
    samples: ({ tier }) => [[{ tier }, 1]],
  },
  {
    name: "terok_shield_state",
    type: "gauge",
    help: "1 for the state that the container is in now, judged by what the kernel enforces.",
    samples: ({ status }) => STATES.map((state) => [{ state }, state === status.kind ? 1 : 0]),
  },
  {
    name: "terok_shield_policy_revision",
    type: "gauge",
    help: "Number of the policy on disk; each change counts on.",
    samples: ({ revision }) => [[{}, revision]],
  },
  {
    name: "terok_shield_run_start_time_seconds",
    type: "gauge",
    help: "When the container's present run began, since 1970.",
    samples: ({ startedAt }) => [[{}, startedAt && startedAt.getTime() / 1000]],
  },
  {
    name: "terok_shield_connections_total",
    type: "counter",
    help: "Connections let through, by the policy or by bypass alone.",
    samples: ({ counted }) => [
      [{ verdict: "allowed" }, counted?.traffic.allowedConnections],
      [{ verdict: "bypass" }, counted?.traffic.bypassedConnections],
    ],
  },
  {
    name: "terok_shield_refused_packets_total",
    type: "counter",
    help: "Packets refused: not allowed, denied, or to private ranges.",
    samples: ({ counted }) =>
      REFUSAL_REASONS.map((reason) => [{ reason }, counted?.traffic.refusedPackets[reason]]),
  },
  {
    name: "terok_shield_refused_bytes_total",
    type: "counter",
    help: "Bytes of refused packets.",
    samples: ({ counted }) =>
      REFUSAL_REASONS.map((reason) => [{ reason }, counted?.traffic.refusedBytes[reason]]),
  },
  {
    name: "terok_shield_unlisted_total",
    type: "counter",
    help: "What was counted and not listed as an event, since it was too much at once.",
    samples: ({ counted }) =>
      PACKET_VERDICTS.map((verdict) => [{ verdict }, counted?.traffic.unlisted[verdict]]),
  },
  {
    name: "terok_shield_dns_queries_total",
    type: "counter",
    help: "Queries over UDP that went on to the container's resolver.",
    samples: ({ counted }) => [[{}, counted?.traffic.dns.asked]],
  },
  {
    name: "terok_shield_dns_answers_total",
    type: "counter",
    help: "Answers of the container's resolver over UDP; the shield's own checks of it are among them.",
    samples: ({ counted }) =>
      (["answered", "missing", "refused"] as const).map((outcome) => [
        { outcome },
        counted?.traffic.dns[outcome],
      ]),
  },
  {
    name: "terok_shield_dns_over_limit_total",
    type: "counter",
    help: "DNS queries of the container that were too many to be answered.",
    samples: ({ counted }) => [[{}, counted?.traffic.dns.overLimit]],
  },
  {
    name: "terok_shield_set_elements",
    type: "gauge",
    help: "Elements of the kernel's sets of addresses.",
    samples: ({ sets }) => sets.map(({ name, elements }) => [{ set: name }, elements]),
  },
  {
    name: "terok_shield_set_elements_max",
    type: "gauge",
    help: "How many elements a set can hold, where it has a limit.",
    samples: ({ sets }) => sets.map(({ name, limit }) => [{ set: name }, limit]),
  },
];

/** Prometheus' text exposition format, version 0.0.4. Metrics that no container has a value of are left out. */
export function renderPrometheus(stats: readonly ContainerStats[]): string {
  return METRICS.map(({ name, type, help, samples }) => {
    const lines = stats.flatMap((one) =>
      samples(one).flatMap(([labels, value]) =>
        value === undefined
          ? []
          : [`${name}${renderLabels({ container: one.container, ...labels })} ${value}\n`],
      ),
    );
    if (lines.length === 0) return "";
    return [`# HELP ${name} ${help}\n`, `# TYPE ${name} ${type}\n`, ...lines].join("");
  }).join("");
}

function renderLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return `{${pairs.join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
