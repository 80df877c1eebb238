import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { type ForeignTexts, makeReport } from "../testing/sample-report.ts";
import { summariseEvents } from "./report.ts";
import { renderReport } from "./report-page.ts";
import { PALETTES } from "./report-style.ts";

const PLAIN: ForeignTexts = {
  name: "name",
  address: "address",
  protocol: "protocol",
  detail: "detail",
  mount: "mount",
  profile: "profile",
};

test("a report is one page", async () => {
  await expect(renderReport(makeReport())).toMatchFileSnapshot("../golden/report.html");
});

test("a report of nothing says so", () => {
  const empty = { ...makeReport(), ...summariseEvents([], { until: new Date(0) }) };
  const page = renderReport(empty);
  for (const sentence of ["Nothing was refused.", "Nothing was reached.", "No name was refused."]) {
    expect(page).toContain(sentence);
  }
});

test("what the logs lack is said, as is what was too much to be listed", () => {
  const page = renderReport(makeReport());
  expect(page).toContain("40 packets were too many at once");
  expect(page).toContain("The kernel counted 5000 refused packets in this run; the logs account for 109");
});

describe("what is foreign in a report", () => {
  const hostile = fc.oneof(
    anyText({ minLength: 1, maxLength: 60 }),
    fc.constantFrom(
      "<script>alert(1)</script>",
      '"><img src=x onerror=alert(1)>',
      "'><svg/onload=alert(1)>",
      "</title></style></code><h1>",
      "<!--",
      "--><iframe src=//evil.test>",
      "]]>",
      "&lt;b&gt;",
      "$& $1 `{x}`",
      "\u202egnp.exe\u0000\u001b]0;x\u0007",
    ),
  );
  const texts = fc.record({
    ...{ name: hostile, address: hostile, protocol: hostile },
    ...{ detail: hostile, mount: hostile, profile: hostile },
  });

  test("never becomes markup: the elements and attributes are those of plain words", () => {
    const plain = skeletonOf(renderReport(makeReport(PLAIN)));
    fc.assert(
      fc.property(texts, (foreign) => {
        expect(skeletonOf(renderReport(makeReport(foreign)))).toEqual(plain);
      }),
    );
  });

  test("is there to read, and holds no character that hides or reorders others", () => {
    const page = renderReport(makeReport({ name: "<b>\u202eevil</b>", detail: `it's "quoted" & more` }));
    expect(page).toContain("<code>&lt;b&gt;\\u{202e}evil&lt;/b&gt;</code>");
    expect(page).toContain("it&#39;s &quot;quoted&quot; &amp; more");
    expect(page).not.toMatch(/[\p{Cf}\0\x1b]/u);
  });
});

/** Its tags, with what stands in their attributes left out, and how often the characters that make markup occur. */
function skeletonOf(page: string): object {
  const tags = page.match(/<[^>]*>/g) ?? [];
  const count = (character: string) => page.split(character).length;
  return {
    tags: tags.map((tag) => tag.replace(/"[^"]*"/g, '""')),
    ...{ less: count("<"), more: count(">"), quotes: count('"') },
  };
}

test("the page loads nothing, runs nothing, and lets nothing in that it does not hold itself", () => {
  const page = renderReport(makeReport());
  expect(page).toMatch(
    /Content-Security-Policy" content="default-src &#39;none&#39;; style-src &#39;sha256-/,
  );
  expect(page).not.toMatch(/<script|<iframe|\son\w+=|url\(|@import|https?:/i);
  expect(page.match(/(?:src|href)="[^"]*"/g)).toEqual(['href="data:,"']);
});

describe.each(Object.entries(PALETTES))("in %s colours", (_, palette) => {
  test.each(["text", "muted", "link", "good", "warn", "bad"] as const)("%s can be read", (name) => {
    for (const ground of [palette.page, palette.surface])
      expect(contrastOf(palette[name], ground)).toBeGreaterThanOrEqual(4.5);
  });

  test.each(["blocked", "denied", "private", "names", "unlisted"] as const)("bars of %s are seen", (name) => {
    expect(contrastOf(palette[name], palette.surface)).toBeGreaterThanOrEqual(3);
  });
});

/** As WCAG 2 defines it. */
function contrastOf(left: string, right: string): number {
  const [light = 0, dark = 0] = [luminanceOf(left), luminanceOf(right)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function luminanceOf(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const share = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
