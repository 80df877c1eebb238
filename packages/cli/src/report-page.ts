import { createHash } from "node:crypto";
import type { AuditEvent } from "@terok-shield/audit";
import { type ProfileEntry, renderEntry } from "@terok-shield/profiles";
import type { ContainerStatus } from "./commands/status.ts";
import { renderDuration } from "./duration.ts";
import type { Destination, RefusedName, Report } from "./report.ts";
import { renderTimeline } from "./report-chart.ts";
import { html, Markup } from "./report-html.ts";
import { STYLE } from "./report-style.ts";
import { renderTime } from "./report-time.ts";
import { REFUSAL_REASONS, sumOf } from "./stats.ts";

/** Longer lists are cut, and say so. */
const MOST_ROWS = 100;
const MOST_ENTRIES = 500;

const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`,
  // Without an icon, browsers ask for one.
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** A page of HTML that needs nothing besides itself: no network, no script, no file. */
export function renderReport(report: Report): string {
  const { container, at, since, timeline } = report;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<title>${container}: what it reached and what was refused</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<header>
<p class="muted small">terok-shield report</p>
<h1>${container} ${renderState(report.status.status)}</h1>
<p class="muted">${renderTime(since ?? timeline.start)} to ${renderTime(at)}, in UTC</p>
</header>
<main>
${renderSummary(report)}
<section aria-labelledby="refused-over-time"><h2 id="refused-over-time">Refused over time</h2>
${renderTimeline(timeline)}
${renderGaps(report)}</section>
<section aria-labelledby="refused"><h2 id="refused">Refused destinations</h2>
${renderDestinations(report.refused, "Nothing was refused.")}</section>
<section aria-labelledby="names"><h2 id="names">Refused names</h2>
${renderNames(report.refusedNames)}</section>
<section aria-labelledby="reached"><h2 id="reached">Reached</h2>
${renderDestinations(report.reached, "Nothing was reached.")}</section>
<section aria-labelledby="decisions"><h2 id="decisions">What happened to the shield</h2>
${renderHistory(report.decisions)}</section>
<section aria-labelledby="policy"><h2 id="policy">Policy in force</h2>
${renderPolicy(report)}</section>
</main>
<footer><p>Written by terok-shield at ${renderTime(at)}. Names and addresses are what the container asked for.</p></footer>
</body>
</html>
`.text;
}

const STATES: Readonly<Record<ContainerStatus["kind"], readonly [tone: string, words: string]>> = {
  up: ["good", "up"],
  block: ["good", "blocked"],
  stopped: ["muted", "stopped"],
  down: ["warn", "down: bypass"],
  down_all: ["warn", "down: bypass, private ranges too"],
  unprotected: ["bad", "unprotected"],
  error: ["bad", "error"],
};

function renderState({ kind }: ContainerStatus): Markup {
  const [tone, words] = STATES[kind];
  return html`<span class="state ${tone}">${words}</span>`;
}

function renderSummary({ totals, status, refused }: Report): Markup {
  const tiles: readonly (readonly [string, string | number])[] = [
    ["Connections allowed", totals.allowed],
    ["Through bypass", totals.bypass],
    ["Packets refused", totals.blocked + totals.denied + totals.private],
    ["Places refused", refused.length],
    ["Name queries refused", totals.names],
    ["Decisions in force", status.decisions.length],
  ];
  return html`<dl class="tiles">${tiles.map(([term, value]) => html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}</dl>
${status.status.kind === "error" ? html`<section><p class="bad">${status.status.reason}</p></section>` : ""}`;
}

/** Where the logs do not have it all, the page says so. */
function renderGaps({ timeline, totals, stats, since }: Report): Markup {
  const unlisted = timeline.spans.reduce((sum, span) => sum + span.unlisted, 0);
  const counted = sumOf(stats?.counted?.traffic.refusedPackets ?? {});
  const known = REFUSAL_REASONS.reduce((sum, reason) => sum + totals[reason], 0);
  const isCut = since === undefined && counted > known;
  return html`${
    unlisted > 0
      ? html`<p class="small">${unlisted} packets were too many at once to be listed one by one: the kernel counted them, and they stand in the picture where it told their number. The tables below know nothing of them.</p>
`
      : ""
  }${
    isCut
      ? html`<p class="small">The kernel counted ${counted} refused packets in this run; the logs account for ${known} of them so far, the newest.</p>
`
      : ""
  }`;
}

function renderDestinations(destinations: readonly Destination[], nothing: string): Markup {
  if (destinations.length === 0) return html`<p>${nothing}</p>`;
  const rows = destinations.slice(0, MOST_ROWS);
  return html`${scrolled(
    "Destinations",
    html`<table class="cards">
<thead><tr><th scope="col">Destination</th><th scope="col" class="number">Times</th><th scope="col">Service</th><th scope="col">Verdict</th><th scope="col">First</th><th scope="col">Last</th></tr></thead>
<tbody>${rows.map(
      ({ name, address, service, verdict, count, first, last }) =>
        html`<tr><th scope="row">${
          name === undefined
            ? html`<code>${address}</code>`
            : html`<code>${name}</code><code class="address">${address}</code>`
        }</th><td class="number" data-label="Times">${count}</td><td class="service">${service}</td><td>${verdict}</td><td data-label="First">${renderTime(first)}</td><td data-label="Last">${renderTime(last)}</td></tr>
`,
    )}</tbody>
</table>`,
  )}${renderRest(destinations)}`;
}

function renderNames(names: readonly RefusedName[]): Markup {
  if (names.length === 0) return html`<p>No name was refused.</p>`;
  return html`${scrolled(
    "Refused names",
    html`<table class="cards">
<thead><tr><th scope="col">Name</th><th scope="col" class="number">Times</th><th scope="col">Asked for</th><th scope="col">First</th><th scope="col">Last</th></tr></thead>
<tbody>${names.slice(0, MOST_ROWS).map(
      ({ name, queryTypes, count, first, last }) =>
        html`<tr><th scope="row"><code>${name}</code></th><td class="number" data-label="Times">${count}</td><td class="service">${queryTypes.join(", ")}</td><td data-label="First">${renderTime(first)}</td><td data-label="Last">${renderTime(last)}</td></tr>
`,
    )}</tbody>
</table>`,
  )}${renderRest(names)}`;
}

function renderRest(all: readonly { readonly count: number }[]): Markup {
  const rest = all.slice(MOST_ROWS);
  const times = rest.reduce((sum, { count }) => sum + count, 0);
  return rest.length === 0
    ? html``
    : html`<p class="muted small">And ${rest.length} more, ${times} times together.</p>`;
}

function renderHistory(events: readonly AuditEvent[]): Markup {
  if (events.length === 0) return html`<p>Nothing happened to it in this time.</p>`;
  return html`${scrolled(
    "What happened to the shield",
    html`<table class="cards">
<thead><tr><th scope="col">Time</th><th scope="col">What</th><th scope="col">Detail</th></tr></thead>
<tbody>${events.slice(0, MOST_ROWS).map(
      ({ ts, action, detail }) =>
        html`<tr><td>${renderTime(ts)}</td><td class="service">${action.replace("_", " ")}</td><td class="what">${detail}</td></tr>
`,
    )}</tbody>
</table>`,
  )}${
    events.length > MOST_ROWS
      ? html`<p class="muted small">And ${events.length - MOST_ROWS} earlier ones.</p>`
      : ""
  }`;
}

function renderPolicy({ state, status, stats }: Report): Markup {
  const { profiles, published, loopbackPorts } = state.request;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["Profiles", profiles.join(", ") || "none"],
    ["Names are looked up by", state.tier],
    ["Policy number", String(state.revision)],
    ["Runs for", stats?.uptimeSeconds === undefined ? undefined : renderDuration(stats.uptimeSeconds)],
    ["Published ports", published.map(({ protocol, port }) => `${port}/${protocol}`).join(", ") || undefined],
    ["Ports of the host's loopback", loopbackPorts.join(", ") || undefined],
    ["Trusted mounts", status.trustedMounts.join(", ") || undefined],
    ["Notes", status.notes.join("; ") || undefined],
  ];
  return html`<dl class="facts">${facts.flatMap(([term, value]) =>
    value === undefined ? [] : html`<dt>${term}</dt><dd>${value}</dd>`,
  )}</dl>
<h3>Decisions in force</h3>
${
  status.decisions.length === 0
    ? html`<p>None: the profiles alone.</p>`
    : html`<ul class="entries">${status.decisions.map(
        ({ verdict, target, remainingSeconds }) =>
          html`<li>${verdict} <code>${target}</code>${remainingSeconds === undefined ? "" : `, ${renderDuration(remainingSeconds)} left`}</li>`,
      )}</ul>`
}
<h3>Allowed by profiles</h3>
${renderEntries(state.entries)}`;
}

/** By the file that they stand in. */
function renderEntries(entries: readonly ProfileEntry[]): Markup {
  if (entries.length === 0) return html`<p>Nothing.</p>`;
  const files = [...new Set(entries.map(({ source }) => source.file))];
  return html`${files.map((file) => {
    const lines = entries.filter(({ source }) => source.file === file);
    return html`<details><summary>${file.replace(/^.*\//, "")}: ${lines.length} ${lines.length === 1 ? "entry" : "entries"}</summary><ul class="entries">${lines
      .slice(0, MOST_ENTRIES)
      .map(
        ({ source, ...target }) =>
          html`<li><code>${renderEntry(target)}</code> <span class="muted small">line ${source.line}</span></li>`,
      )}</ul>${lines.length > MOST_ENTRIES ? html`<p class="muted small">And ${lines.length - MOST_ENTRIES} more.</p>` : ""}</details>`;
  })}`;
}

/** A table that is too wide for the screen moves by itself, and by keyboard too; one of cards never is. */
function scrolled(label: string, table: Markup): Markup {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${label}">${table}</div>`;
}
