import type { StatusReport } from "../commands/status.ts";

/** One line a container: name, status, tier, profiles; the reason of an error beneath. */
export function renderStatus(reports: readonly StatusReport[]): string {
  if (reports.length === 0) return "No shielded containers.\n";
  const nameWidth = Math.max(...reports.map(({ container }) => container.length));
  return reports
    .map(({ container, status, tier, profiles, trustedMounts }) => {
      const lines = [
        `${container.padEnd(nameWidth)}  ${status.kind.padEnd(11)}  ${tier.padEnd(7)}  ${profiles.join(" ")}`.trimEnd(),
        ...(status.kind === "error" ? [`    ${status.reason}`] : []),
        ...(status.kind === "unprotected" ? ["    it runs without the shield's rules: stop it"] : []),
        ...trustedMounts.map((mount) => `    trusted mount: ${mount}`),
      ];
      return `${lines.join("\n")}\n`;
    })
    .join("");
}
