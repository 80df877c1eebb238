import { type Figure, median, ratioOf, type Section } from "./figure.ts";

export interface Machine {
  readonly date: string;
  /** Name and version of what was measured with. */
  readonly facts: Readonly<Record<string, string>>;
}

/** docs/benchmarks.md. */
export function renderReport(machine: Machine, sections: readonly Section[]): string {
  return [
    "# Benchmarks",
    "",
    `Written by \`pnpm bench\` on ${machine.date}; the rounds themselves are in [benchmarks.json](benchmarks.json).`,
    "What is compared was run in turn, so ratios hold where times are another machine's. Medians count.",
    "",
    ...Object.entries(machine.facts).map(([name, value]) => `- ${name}: ${value}`),
    "",
    ...sections.flatMap(renderSection),
  ].join("\n");
}

function renderSection(section: Section): string[] {
  const rows = section.figures.map((figure) => renderFigure(section, figure));
  return [
    `## ${section.title}`,
    "",
    section.about,
    "",
    "| | Median | Least | Most | Rounds | Ratio | Target |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ...rows.map((cells) => `| ${cells.join(" | ")} |`),
    "",
  ];
}

function renderFigure(section: Section, figure: Figure): string[] {
  const { name, unit, values, against, target } = figure;
  const ratio = ratioOf(section, figure);
  const show = (value: number) => `${round(value)}${unit === "" ? "" : ` ${unit}`}`;
  return [
    name,
    ...[median(values), Math.min(...values), Math.max(...values)].map(show),
    String(values.length),
    ratio === undefined ? "" : `${ratio.toFixed(2)} × ${against}`,
    target === undefined ? "" : renderTarget(target, ratio ?? median(values)),
  ];
}

function renderTarget(target: NonNullable<Figure["target"]>, value: number): string {
  const [limit, isMet] =
    "most" in target
      ? [`≤ ${target.most}`, value <= target.most]
      : [`≥ ${target.least}`, value >= target.least];
  return isMet ? limit : `**${limit}**`;
}

/** Three digits that mean something. */
function round(value: number): string {
  return Math.abs(value) >= 100
    ? value.toFixed(0)
    : Math.abs(value) >= 10
      ? value.toFixed(1)
      : value.toFixed(2);
}
