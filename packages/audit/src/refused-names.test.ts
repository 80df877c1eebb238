import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { BackwardQueryReader, cleanName, nameEvent, QueryReader } from "./refused-names.ts";
import { parseResolverLine, type ResolverLine } from "./resolver-line.ts";
import { nameEventSchema } from "./shield-event.ts";

const linesOf = (...texts: readonly string[]): ResolverLine[] =>
  texts.flatMap((text) => parseResolverLine(`Nov 24 06:06:07 dnsmasq[1]: ${text}`) ?? []);

const LOG = linesOf(
  "1 127.0.0.1/1 query[A] one.test from 127.0.0.1",
  "2 127.0.0.1/2 query[AAAA] Two.test from 127.0.0.1",
  "2 127.0.0.1/2 config error is REFUSED (EDE: not ready)",
  "1 127.0.0.1/1 forwarded one.test to 10.0.2.3",
  "1 127.0.0.1/1 reply alias.test is 198.18.0.1",
  "1 127.0.0.1/1 reply alias.test is 198.18.0.2",
  "3 127.0.0.1/3 query[TXT] text.test from 127.0.0.1",
  "3 127.0.0.1/3 reply text.test is 198.18.0.3",
  "started, version 2.90 cache disabled",
  "2 127.0.0.1/2 config error is REFUSED (EDE: not ready)",
);

test("the lines of each query are put together, from the beginning and from the end", () => {
  const reader = new QueryReader();
  expect(LOG.flatMap((line) => reader.read(line) ?? [])).toEqual([
    { name: "Two.test", type: "AAAA", asker: "1 127.0.0.1/2", isListed: false },
    { name: "one.test", type: "A", asker: "1 127.0.0.1/1", isListed: false, address: "198.18.0.1" },
    { name: "one.test", type: "A", asker: "1 127.0.0.1/1", isListed: false, address: "198.18.0.2" },
  ]);
  const backward = new BackwardQueryReader();
  expect(LOG.toReversed().flatMap((line) => backward.read(line) ?? [])).toMatchObject([
    { name: "text.test", type: "TXT", isRefused: false, addresses: [] },
    { name: "Two.test", type: "AAAA", isRefused: true, addresses: [] },
    { name: "one.test", type: "A", isRefused: false, addresses: ["198.18.0.2", "198.18.0.1"] },
  ]);
});

test("a reader that sees questions without end and never an answer forgets the oldest", () => {
  const reader = new QueryReader();
  for (let number = 1; number <= 10_000; number++) {
    for (const line of linesOf(`${number} 127.0.0.1/1 query[A] ${number}.test from 127.0.0.1`))
      reader.read(line);
  }
  const [first, last] = [1, 10_000].map(
    (number) => linesOf(`${number} 127.0.0.1/1 config error is REFUSED`)[0],
  );
  expect(first && reader.read(first)).toBeUndefined();
  expect(last && reader.read(last)).toMatchObject({ name: "10000.test", type: "A" });
});

test.each([
  ["EvIl.TEST", "evil.test"],
  ["\x1b[31mred.test", "\\x1b[31mred.test"],
  ["a\u202eb", "a\\u{202e}b"],
  ["two\nlines", "two\\x0alines"],
  ["x".repeat(300), `${"x".repeat(252)}...`],
])("the name %j is shown as %s", (name, shown) => {
  expect(cleanName(name)).toBe(shown);
});

test("whatever a name and a type hold, the event is as the schema has it, and a terminal only prints it", () => {
  const text = anyText({ maxLength: 400 });
  fc.assert(
    fc.property(text, text, (name, type) => {
      const event = nameEvent({ name, type }, "2026-11-24T06:06:07.000Z", "web");
      expect(nameEventSchema.parse(event)).toEqual(event);
      expect(`${event.name}${event.queryType}`).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    }),
  );
});
