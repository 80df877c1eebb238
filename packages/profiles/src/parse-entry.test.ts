import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { EntryError } from "./entry-error.ts";
import { type AllowlistEntry, parseEntry } from "./parse-entry.ts";
import { parseProfile } from "./parse-profile.ts";
import { renderEntry } from "./render-entry.ts";
import { canonicaliseRange } from "./stand-in-range.ts";

const options = { canonicaliseRange };
const name = (text: string): AllowlistEntry => ({ kind: "name", name: text });
const wildcard = (parent: string): AllowlistEntry => ({ kind: "wildcard", parent });
const range = (text: string): AllowlistEntry => ({ kind: "range", range: text });
const longest = `${`${"a".repeat(63)}.`.repeat(3)}${"a".repeat(61)}`;

describe("an entry has one canonical form", () => {
  test.each<[string, AllowlistEntry]>([
    ["example.com", name("example.com")],
    ["Example.COM.", name("example.com")],
    ["1password.com", name("1password.com")],
    ["3.14.example", name("3.14.example")],
    ["a.b-c.d--e.example", name("a.b-c.d--e.example")],
    ["_mongodb._tcp.db.example.com", name("_mongodb._tcp.db.example.com")],
    ["my_bucket.example.com", name("my_bucket.example.com")],
    [longest, name(longest)],
    ["Bücher.example", name("xn--bcher-kva.example")],
    ["Bu\u0308cher.example", name("xn--bcher-kva.example")],
    ["XN--BCHER-KVA.example", name("xn--bcher-kva.example")],
    ["faß.example", name("xn--fa-hia.example")],
    ["пример.рф.", name("xn--e1afmkfd.xn--p1ai")],
    ["xn--n3h.net", name("xn--n3h.net")],
    ["*.example.com", wildcard("example.com")],
    ["*.Example.com.", wildcard("example.com")],
    ["*.a.b.example.com", wildcard("a.b.example.com")],
    ["*.bücher.example.com", wildcard("xn--bcher-kva.example.com")],
    ["*.city.kawasaki.jp", wildcard("city.kawasaki.jp")],
    ["192.0.2.7", range("192.0.2.7")],
    ["10.0.0.0/8", range("10.0.0.0/8")],
    ["2001:DB8:0::1", range("2001:db8::1")],
    ["2001:db8::/32", range("2001:db8::/32")],
    ["::", range("::")],
    ["[2001:db8::1]", range("2001:db8::1")],
    ["example.com:443", { ...name("example.com"), ports: { first: 443, last: 443 } }],
    ["example.com.:443", { ...name("example.com"), ports: { first: 443, last: 443 } }],
    ["example.com:443/tcp", { ...name("example.com"), ports: { first: 443, last: 443, protocol: "tcp" } }],
    ["example.com:8000-8010", { ...name("example.com"), ports: { first: 8000, last: 8010 } }],
    ["example.com:1-65535", { ...name("example.com"), ports: { first: 1, last: 65535 } }],
    ["*.example.com:53/udp", { ...wildcard("example.com"), ports: { first: 53, last: 53, protocol: "udp" } }],
    ["192.0.2.7:5432/tcp", { ...range("192.0.2.7"), ports: { first: 5432, last: 5432, protocol: "tcp" } }],
    ["10.0.0.0/8:443", { ...range("10.0.0.0/8"), ports: { first: 443, last: 443 } }],
    ["[2001:db8::1]:443/udp", { ...range("2001:db8::1"), ports: { first: 443, last: 443, protocol: "udp" } }],
    ["[2001:db8::/32]:80-90", { ...range("2001:db8::/32"), ports: { first: 80, last: 90 } }],
  ])("%j", (text, entry) => {
    expect(parseEntry(text, options)).toEqual(entry);
    expect(parseEntry(renderEntry(entry), options)).toEqual(entry);
  });
});

test.each([
  [{ ...name("example.com"), ports: { first: 443, last: 443, protocol: "tcp" } }, "example.com:443/tcp"],
  [{ ...wildcard("example.com"), ports: { first: 80, last: 90 } }, "*.example.com:80-90"],
  [{ ...range("10.0.0.0/8"), ports: { first: 443, last: 443 } }, "10.0.0.0/8:443"],
  [
    { ...range("2001:db8::/32"), ports: { first: 443, last: 443, protocol: "udp" } },
    "[2001:db8::/32]:443/udp",
  ],
  [range("2001:db8::1"), "2001:db8::1"],
] satisfies [AllowlistEntry, string][])("%j is written %s", (entry, text) => {
  expect(renderEntry(entry)).toBe(text);
});

test.each(["example.com:443/tcp", "*.example.com:80-90", "[2001:db8::/32]:443/udp", "10.0.0.0/8"])(
  "%s is the same after it was written as JSON and read again",
  (text) => {
    const entry = parseEntry(text, options);
    expect(JSON.parse(JSON.stringify(entry))).toEqual(entry);
    expect(renderEntry(JSON.parse(JSON.stringify(entry)) as AllowlistEntry)).toBe(text);
  },
);

test("a range is what the caller's parser makes of it: a mapped address needs no brackets any more", () => {
  const unmap = { canonicaliseRange: (text: string) => text.replace("::ffff:", "") };
  expect(renderEntry(parseEntry("[::ffff:192.0.2.7]:443", unmap))).toBe("192.0.2.7:443");
});

test.each(["*.com", "*.github.io", "*.internal"])("%s is taken when the owner insists", (text) => {
  expect(parseEntry(text, { ...options, allowPublicSuffixWildcards: true })).toEqual(wildcard(text.slice(2)));
});

test.each([" example.com", "example.com ", "example.com\t", "example.com # why", "", "\n"])(
  "%j is no entry: space and comments belong to a profile",
  (text) => expect(() => parseEntry(text, options)).toThrow(EntryError),
);

const label = fc.stringMatching(/^[A-Za-z0-9_]([A-Za-z0-9_]{0,8}[A-Za-z0-9])?$/);
const foreignLabel = fc.constantFrom("bücher", "пример", "例え", "faß", "مثال", "한국");
const domain = fc
  .tuple(
    fc.array(fc.oneof(label, foreignLabel), { minLength: 1, maxLength: 4 }),
    fc.constantFrom("com", "рф", "co.uk."),
  )
  .map(([labels, top]) => [...labels, top].join("."));
const ipv4 = fc.ipV4();
const ipv6 = fc.ipV6();
const port = fc.integer({ min: 1, max: 65535 });
const portScope = fc
  .tuple(port, fc.option(port), fc.constantFrom("", "/tcp", "/udp"))
  .map(([one, other, protocol]) =>
    other === null ? `:${one}${protocol}` : `:${Math.min(one, other)}-${Math.max(one, other)}${protocol}`,
  );
const withPorts = (host: fc.Arbitrary<string>) =>
  fc.tuple(host, fc.oneof(fc.constant(""), portScope)).map((parts) => parts.join(""));
const prefixed = (address: fc.Arbitrary<string>, longest: number) =>
  fc.tuple(address, fc.integer({ min: 0, max: longest })).map((parts) => parts.join("/"));
const entryText = fc.oneof(
  withPorts(domain),
  withPorts(domain.map((parent) => `*.any.${parent}`)),
  withPorts(ipv4),
  withPorts(prefixed(ipv4, 32)),
  ipv6,
  prefixed(ipv6, 128),
  withPorts(fc.oneof(ipv6, prefixed(ipv6, 128)).map((text) => `[${text}]`)),
);
const grammarCharacter = fc.constantFrom(
  ..."ab1x0-_.*:/[]#%@ \t\r\n\0\\\"';{}$。ü\u0301\u00ad\u200d\u202eｅ４K".split(""),
);
const anyEntry = fc.oneof(
  entryText,
  fc.string(),
  anyText(),
  fc.string({ unit: grammarCharacter, maxLength: 20 }),
  fc
    .tuple(entryText, fc.nat(), fc.oneof(grammarCharacter, anyText({ maxLength: 2 })))
    .map(([text, at, inserted]) => {
      const position = at % (text.length + 1);
      return text.slice(0, position) + inserted + text.slice(position);
    }),
);

describe("for every text", () => {
  test("what is parsed is the same after it was written and parsed again", () => {
    fc.assert(
      fc.property(entryText, (text) => {
        const entry = parseEntry(text, options);
        expect(parseEntry(renderEntry(entry), options)).toEqual(entry);
        expect(renderEntry(parseEntry(renderEntry(entry), options))).toBe(renderEntry(entry));
      }),
    );
  });

  test("only an EntryError or a ProfileError is thrown", () => {
    fc.assert(
      fc.property(anyEntry, (text) => {
        expect([undefined, "EntryError"]).toContain(nameOf(() => parseEntry(text, options)));
        expect([undefined, "ProfileError"]).toContain(
          nameOf(() => parseProfile(text, { ...options, file: "x" })),
        );
      }),
      { numRuns: 1000 },
    );
  });

  test("a name or parent is labels of letters, digits, hyphens and underscores, and no address", () => {
    fc.assert(
      fc.property(anyEntry, (text) => {
        const domain = domainOf(text);
        fc.pre(domain !== undefined);
        expect(domain).toMatch(
          /^(?=.{3,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/,
        );
        expect(domain).not.toMatch(/(^|\.)(\d+|0x[0-9a-f]*)$/);
        // What would mean something to nft, dnsmasq or a shell.
        expect(domain).not.toMatch(/[\s/#=,;:{}()[\]@$&|<>!*?"'`\\%~^+]/);
      }),
      { numRuns: 1000, maxSkipsPerRun: 1000 },
    );
  });
});

function nameOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}

function domainOf(text: string): string | undefined {
  try {
    const entry = parseEntry(text, { ...options, allowPublicSuffixWildcards: true });
    if (entry.kind === "range") return undefined;
    return entry.kind === "name" ? entry.name : `a.${entry.parent}`;
  } catch {
    return undefined;
  }
}
