import { cleanText } from "@terok-shield/audit";

/** Markup of ours: everything else is text. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Content = Markup | string | number | readonly (Markup | string | number)[];

/** Markup with what is put into it as text, in elements and in quoted attributes alike: it may be an attacker's. */
export function html(strings: TemplateStringsArray, ...contents: readonly Content[]): Markup {
  return new Markup(String.raw({ raw: strings }, ...contents.map(renderContent)));
}

function renderContent(content: Content): string {
  if (content instanceof Markup) return content.text;
  if (typeof content === "object") return content.map(renderContent).join("");
  return escapeText(String(content));
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Characters that hide or reorder others are shown as escapes, too. */
function escapeText(text: string): string {
  return cleanText(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
