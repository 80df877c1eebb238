import type { Check } from "../diagnosis.ts";

/** One line a check: verdict, name, what was found; what its absence costs and what mends it beneath. */
export function renderChecks(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  return checks
    .flatMap(({ verdict, name, found, cost, mend }) => [
      `${verdict.padEnd(7)}  ${name.padEnd(width)}  ${found}`,
      ...[cost, mend].filter((line) => line !== undefined).map((line) => `    ${line}`),
    ])
    .map((line) => `${line}\n`)
    .join("");
}
