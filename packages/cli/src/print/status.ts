import type { ContainerStatus, StatusReport } from "../commands/status.ts";
import { renderDuration } from "../duration.ts";

/** One line a container: name, status, tier, profiles; beneath it the reason of an error, and what its owner should know. */
export function renderStatus(reports: readonly StatusReport[]): string {
  if (reports.length === 0) return "No shielded containers.\n";
  const nameWidth = Math.max(...reports.map(({ container }) => container.length));
  return reports
    .map(({ container, status, tier, profiles, trustedMounts, decisions, notes }) => {
      const lines = [
        `${container.padEnd(nameWidth)}  ${status.kind.padEnd(11)}  ${tier.padEnd(7)}  ${profiles.join(" ")}`.trimEnd(),
        ...describeStatus(status).map((line) => `    ${line}`),
        ...decisions.map(
          ({ verdict, target, remainingSeconds }) =>
            `    ${verdict} ${target}${remainingSeconds === undefined ? "" : `, ${renderDuration(remainingSeconds)} left`}`,
        ),
        ...trustedMounts.map((mount) => `    trusted mount: ${mount}`),
        ...notes.map((note) => `    ${note}`),
      ];
      return `${lines.join("\n")}\n`;
    })
    .join("");
}

function describeStatus(status: ContainerStatus): string[] {
  switch (status.kind) {
    case "error":
      return [status.reason];
    case "unprotected":
      return ["it runs without the shield's rules: stop it"];
    case "down":
    case "down_all":
      return status.remainingSeconds === undefined
        ? []
        : [`comes back up in ${renderDuration(status.remainingSeconds)}`];
    default:
      return [];
  }
}
