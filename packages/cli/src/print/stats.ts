import { renderDuration } from "../duration.ts";
import { type ContainerStats, sumOf } from "../stats.ts";
import { renderTable } from "./table.ts";

const HEAD = [
  ...["NAME", "STATE", "UP", "ALLOWED", "BYPASSED", "BLOCKED", "DENIED", "PRIVATE"],
  "QUERIES OVER LIMIT",
];

/** A table of what was counted, a row for each container; beneath it, what is no number. */
export function renderStats(stats: readonly ContainerStats[]): string {
  if (stats.length === 0) return "No shielded containers.\n";
  const notes = stats.flatMap((one) => notesOn(one).map((note) => `${one.container}: ${note}\n`));
  return [renderTable([HEAD, ...stats.map(rowOf)]), ...notes].join("");
}

function rowOf({ container, status, uptimeSeconds, counted }: ContainerStats): string[] {
  const { allowedConnections, bypassedConnections, refusedPackets, refusedQueries } = counted?.traffic ?? {};
  return [
    container,
    status.kind,
    uptimeSeconds === undefined ? "-" : renderDuration(uptimeSeconds),
    ...[
      ...[allowedConnections, bypassedConnections],
      ...[refusedPackets?.blocked, refusedPackets?.denied, refusedPackets?.private],
      refusedQueries,
    ].map((count) => (count === undefined ? "-" : String(count))),
  ];
}

function notesOn({ tier, revision, mode, counted, sets }: ContainerStats): string[] {
  const unlisted = counted === undefined ? 0 : sumOf(counted.traffic.unlisted);
  const filled = sets.filter(({ elements }) => elements > 0);
  return [
    [
      `tier ${tier}`,
      ...(revision === undefined ? [] : [`policy ${revision}`]),
      ...(mode === undefined ? [] : [`mode ${mode}`]),
    ].join(", "),
    ...(counted === undefined || counted.isLive
      ? []
      : [`does not run; counted in its last run, as of ${counted.at.toISOString()}`]),
    ...(unlisted > 0 ? [`${unlisted} of these were too many at once to be listed as events`] : []),
    ...(filled.length === 0
      ? []
      : [
          `sets ${filled.map(({ name, elements, limit }) => `${name} ${elements}${limit === undefined ? "" : `/${limit}`}`).join(", ")}`,
        ]),
  ];
}

/** One document: an array with an object for each container. */
export function renderStatsJson(stats: readonly ContainerStats[]): string {
  return `${JSON.stringify(stats)}\n`;
}
