import { html, type Markup } from "./report-html.ts";

/** In UTC, to the second; a page goes to others, too. */
export function renderTime(time: Date | string): Markup {
  const iso = (typeof time === "string" ? new Date(time) : time).toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)}</time>`;
}
