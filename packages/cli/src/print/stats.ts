import { renderDuration } from "../duration.ts";
import { type ContainerStats, type DnsCounts, sumOf } from "../stats.ts";
import { renderTable } from "./table.ts";

const HEAD = ["NAME", "STATE", "UP", "ALLOWED", "BYPASSED", "BLOCKED", "DENIED", "PRIVATE"];

/** A table of what was counted, a row for each container; beneath each, what is no column of all. */
export function renderStats(stats: readonly ContainerStats[]): string {
  if (stats.length === 0) return "No shielded containers.\n";
  const [head = "", ...rows] = renderTable([HEAD, ...stats.map(rowOf)])
    .trimEnd()
    .split("\n");
  const lines = stats.flatMap((one, index) => [rows[index], ...notesOn(one).map((note) => `    ${note}`)]);
  return [head, ...lines].map((line) => `${line}\n`).join("");
}

function rowOf({ container, status, uptimeSeconds, counted }: ContainerStats): string[] {
  const { allowedConnections, bypassedConnections, refusedPackets } = counted?.traffic ?? {};
  return [
    container,
    status.kind,
    uptimeSeconds === undefined ? "-" : renderDuration(uptimeSeconds),
    ...[
      ...[allowedConnections, bypassedConnections],
      ...[refusedPackets?.blocked, refusedPackets?.denied, refusedPackets?.private],
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
    ...(counted === undefined || tier !== "dnsmasq" ? [] : [`dns ${renderDns(counted.traffic.dns)}`]),
    ...(unlisted > 0 ? [`${unlisted} of these were too many at once to be listed as events`] : []),
    ...(filled.length === 0 ? [] : [`sets ${filled.map(renderSet).join(", ")}`]),
  ];
}

function renderDns({ asked, answered, missing, refused, overLimit }: DnsCounts): string {
  const counts = [
    `${asked} asked`,
    ...[`${answered} answered`, `${missing} no such name`, `${refused} refused`],
  ];
  return [...counts, ...(overLimit > 0 ? [`${overLimit} over the limit`] : [])].join(", ");
}

function renderSet({ name, elements, limit }: ContainerStats["sets"][number]): string {
  return `${name} ${elements}${limit === undefined ? "" : `/${limit}`}`;
}

/** One document: an array with an object for each container. */
export function renderStatsJson(stats: readonly ContainerStats[]): string {
  return `${JSON.stringify(stats)}\n`;
}
