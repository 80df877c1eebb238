import { renderDuration } from "./duration.ts";
import type { Timeline, TimelineKind } from "./report.ts";
import { TIMELINE_KINDS } from "./report.ts";
import { html, type Markup } from "./report-html.ts";
import { renderTime } from "./report-time.ts";

const LABELS: Readonly<Record<TimelineKind, string>> = {
  blocked: "not allowed",
  denied: "denied",
  private: "private range",
  names: "name refused",
  unlisted: "counted, not listed",
};

const HEIGHT = 200;
const STEP = 12;

type Span = Timeline["spans"][number];

/** What was refused over time: a picture, what its colours mean, and the same as numbers. */
export function renderTimeline({ start, end, spans }: Timeline): Markup {
  const kinds = TIMELINE_KINDS.filter((kind) => spans.some((span) => span[kind] > 0));
  const highest = Math.max(...spans.map(totalOf));
  if (highest === 0) return html`<p>Nothing was refused in this time.</p>`;
  const seconds = (end.getTime() - start.getTime()) / 1000 / spans.length;
  const total = spans.reduce((sum, span) => sum + totalOf(span), 0);
  const summary = `${total} refused in ${spans.length} spans of ${renderDuration(seconds)}; the most in one span: ${highest}.`;
  const width = spans.length * STEP;
  return html`<p class="muted small">Each bar is ${renderDuration(seconds)}; the highest stands for ${highest}.</p>
<svg viewBox="0 0 ${width} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-labelledby="chart-title chart-summary"><title id="chart-title">Refused over time</title><desc id="chart-summary">${summary}</desc>
<path class="grid" d="M0 0.5H${width}M0 ${HEIGHT / 2}H${width}"/>
${spans.map((span, index) => renderBar(span, index, highest))}</svg>
<div class="axis muted small"><span>${renderTime(start)}</span><span>${renderTime(end)}</span></div>
<ul class="legend small">${kinds.map(
    (kind) =>
      html`<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="${kind}" width="10" height="10" rx="2"/></svg>${LABELS[kind]}</li>`,
  )}</ul>
<details><summary>The same as numbers</summary><div class="scroll" tabindex="0" role="region" aria-label="Refused over time, as numbers"><table>
<thead><tr><th scope="col">From</th>${kinds.map((kind) => html`<th scope="col" class="number">${LABELS[kind]}</th>`)}</tr></thead>
<tbody>${spans.flatMap((span, index) =>
    totalOf(span) === 0
      ? []
      : html`<tr><th scope="row">${renderTime(new Date(start.getTime() + index * seconds * 1000))}</th>${kinds.map((kind) => html`<td class="number">${span[kind]}</td>`)}</tr>
`,
  )}</tbody>
</table></div></details>`;
}

/** The kinds upon each other. */
function renderBar(span: Span, index: number, highest: number): Markup {
  let top = HEIGHT;
  const parts = TIMELINE_KINDS.filter((kind) => span[kind] > 0).map((kind) => {
    // One among thousands is still seen.
    const height = Math.max(2, (span[kind] / highest) * HEIGHT);
    top = Math.max(0, top - height);
    return html`<rect class="${kind}" x="${index * STEP + 1}" y="${round(top)}" width="${STEP - 2}" height="${round(height)}"/>`;
  });
  return parts.length === 0
    ? html``
    : html`${parts}
`;
}

function totalOf(span: Span): number {
  return TIMELINE_KINDS.reduce((sum, kind) => sum + span[kind], 0);
}

function round(length: number): number {
  return Math.round(length * 10) / 10;
}
