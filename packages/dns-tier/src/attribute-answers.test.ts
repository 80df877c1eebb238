import { isIP } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { attributeAnswers } from "./attribute-answers.ts";
import { isDomainName } from "./domain-name.ts";

const STARTED = "Nov 24 02:51:39 dnsmasq[70]: started, version 2.90 cache disabled\n";
/** A line about query `number`, of the process that answers over UDP or of another. */
const line = (number: number, text: string, process = 70) =>
  `Nov  4 02:51:39 dnsmasq[${process}]: ${number} 127.0.0.1/46078 ${text}\n`;
const asks = (number: number, name: string, type = "A", process = 70) =>
  line(number, `query[${type}] ${name} from 127.0.0.1`, process);

test("reads the log of dnsmasq 2.90", () => {
  const log = `${STARTED}Nov 24 02:51:39 dnsmasq[70]: compile time options: IPv6 GNU-getopt
Nov 24 02:51:39 dnsmasq[70]: using nameserver 10.0.2.3#53 for domain good.test 
Nov 24 02:51:39 dnsmasq[70]: using only locally-known addresses for r1-c0ffee.terok-shield.invalid
Nov 24 02:51:39 dnsmasq[70]: 1 127.0.0.1/57185 query[A] good.test from 127.0.0.1
Nov 24 02:51:39 dnsmasq[70]: 1 127.0.0.1/57185 forwarded good.test to 10.0.2.3
Nov 24 02:51:39 dnsmasq[70]: 2 127.0.0.1/57186 query[A] alias.test from 127.0.0.1
Nov 24 02:51:39 dnsmasq[70]: 1 127.0.0.1/57185 nftset add 4 inet terok_shield dns_v4 198.18.0.7 
Nov 24 02:51:39 dnsmasq[70]: 1 127.0.0.1/57185 reply good.test is 198.18.0.7
Nov 24 02:51:39 dnsmasq[70]: 2 127.0.0.1/57186 forwarded alias.test to 10.0.2.3
Nov 24 02:51:39 dnsmasq[70]: 2 127.0.0.1/57186 reply alias.test is <CNAME>
Nov 24 02:51:39 dnsmasq[70]: 2 127.0.0.1/57186 reply edge one.other.net is <CNAME>
Nov 24 02:51:39 dnsmasq[70]: 2 127.0.0.1/57186 nftset add 4 inet terok_shield dns_v4 198.18.0.9 
Nov 24 02:51:39 dnsmasq[70]: 2 127.0.0.1/57186 reply <name unprintable> is 198.18.0.9
Nov 24 02:51:39 dnsmasq[70]: 3 127.0.0.1/57187 query[AAAA] good.test from 127.0.0.1
Nov 24 02:51:39 dnsmasq[70]: 3 127.0.0.1/57187 reply good.test is 2001:2::7
Nov 24 02:51:39 dnsmasq[70]: 4 127.0.0.1/57188 query[A] slow.test from 127.0.0.1
Nov 24 02:51:39 dnsmasq[70]: 5 127.0.0.1/57189 query[A] slow.test from 127.0.0.1
Nov 24 02:51:39 dnsmasq[70]: 4 127.0.0.1/57188 reply slow.test is 198.18.0.30
Nov 24 02:51:39 dnsmasq[70]: 5 127.0.0.1/57189 reply query is duplicate
Nov 24 02:51:39 dnsmasq[70]: 6 127.0.0.1/57190 query[A] gone.test from 127.0.0.1
Nov 24 02:51:39 dnsmasq[70]: 6 127.0.0.1/57190 reply gone.test is NXDOMAIN
Nov 24 02:51:39 dnsmasq[70]: 7 127.0.0.1/57191 query[A] evil.example from 127.0.0.1
Nov 24 02:51:39 dnsmasq[70]: 7 127.0.0.1/57191 config error is REFUSED (EDE: not ready)
Nov 24 02:51:39 dnsmasq[70]: 8 127.0.0.1/57192 query[A] r1-c0ffee.terok-shield.invalid from 127.0.0.1
Nov 24 02:51:39 dnsmasq[70]: 8 127.0.0.1/57192 config r1-c0ffee.terok-shield.invalid is 0.0.0.0
Nov 24 02:51:39 dnsmasq[70]: 9 127.0.0.1/57193 query[A] mixed.test from 127.0.0.1
Nov 24 02:51:39 dnsmasq[70]: 9 127.0.0.1/57193 nftset add 4 inet terok_shield dns_v4 198.18.0.18 
Nov 24 02:51:39 dnsmasq[70]: 9 127.0.0.1/57193 reply mixed.test is 198.18.0.18
Nov 24 02:51:39 dnsmasq[70]: possible DNS-rebind attack detected: mixed.test
Nov 24 02:51:39 dnsmasq[70]: 10 127.0.0.1/57194 query . from 127.0.0.1
Nov 24 02:51:39 dnsmasq[84]: 11 127.0.0.1/46078 query[A] big.test from 127.0.0.1
Nov 24 02:51:39 dnsmasq[84]: 11 127.0.0.1/46078 reply big.test is 198.18.1.1
Nov 24 02:51:39 dnsmasq[84]: 11 127.0.0.1/46078 reply big.test is 198.18.1.2
`;
  expect(plain(attributeAnswers(log))).toEqual({
    "good.test": ["198.18.0.7", "2001:2::7"],
    "alias.test": ["198.18.0.9"],
    "slow.test": ["198.18.0.30"],
    "mixed.test": ["198.18.0.18"],
    "big.test": ["198.18.1.1", "198.18.1.2"],
  });
});

test.each<[string, string, Record<string, string[]>]>([
  ["an empty log", "", {}],
  ["a log that begins in the middle", line(1, "reply a.test is 198.18.0.1"), {}],
  [
    "several questions for a name",
    asks(1, "a.test") +
      line(1, "reply a.test is 198.18.0.1") +
      asks(2, "a.test") +
      line(2, "reply a.test is 198.18.0.2"),
    { "a.test": ["198.18.0.1", "198.18.0.2"] },
  ],
  [
    "one address of two names",
    asks(1, "a.test") +
      asks(2, "b.test") +
      line(2, "reply b.test is 198.18.0.1") +
      line(1, "reply a.test is 198.18.0.1"),
    { "b.test": ["198.18.0.1"], "a.test": ["198.18.0.1"] },
  ],
  [
    "an answer from a cache",
    asks(1, "a.test") + line(1, "cached a.test is 198.18.0.1"),
    { "a.test": ["198.18.0.1"] },
  ],
  ["the same number in another process", asks(1, "a.test") + line(1, "reply a.test is 198.18.0.1", 71), {}],
  [
    "a number that is used again",
    asks(1, "a.test") + asks(1, "t.test", "TXT") + line(1, "reply t.test is 198.18.0.1"),
    {},
  ],
  [
    "a number that is used again after a restart",
    asks(1, "a.test") + STARTED + line(1, "reply b.test is 198.18.0.1"),
    {},
  ],
  [
    "what was learned before dnsmasq was started anew",
    asks(1, "a.test") +
      line(1, "reply a.test is 198.18.0.1") +
      STARTED +
      asks(1, "b.test") +
      line(1, "reply b.test is 198.18.0.2"),
    { "a.test": ["198.18.0.1"], "b.test": ["198.18.0.2"] },
  ],
  [
    "a name that says so in a line of no question",
    `${asks(1, "a.test")}${line(1, "reply a.test is 198.18.0.1")}Nov 24 02:51:39 dnsmasq[70]: possible DNS-rebind attack detected: started, version 2.90\n`,
    { "a.test": ["198.18.0.1"] },
  ],
  [
    "a name that says that dnsmasq started",
    asks(1, "a.test") + line(1, "reply a.test is 198.18.0.1") + asks(2, "dnsmasq[70]: started, version 2.90"),
    { "a.test": ["198.18.0.1"] },
  ],
  ["another type of question", asks(1, "a.test", "TXT") + line(1, "reply a.test is 198.18.0.1"), {}],
  [
    "a name of the upstream's that ends like an answer",
    asks(1, "a.test") +
      line(1, "reply x is 198.18.0.1 is NXDOMAIN") +
      line(1, "reply x is 198.18.0.1 is 198.18.0.2"),
    { "a.test": ["198.18.0.2"] },
  ],
  ["what the configuration answers", asks(1, "a.test") + line(1, "config a.test is 198.18.0.1"), {}],
  [
    "a last line that is not complete",
    asks(1, "a.test") + line(1, "reply a.test is 198.18.0.1").slice(0, -1),
    {},
  ],
  [
    "a torn line that runs into the next",
    asks(1, "a.test") +
      asks(2, "b.test") +
      line(1, "reply a.test").trimEnd() +
      line(2, "reply b.test is 198.18.0.2"),
    {},
  ],
  [
    "lines of others",
    `${asks(1, "a.test")}reply a.test is 198.18.0.1\n1 127.0.0.1/1 reply a.test is 198.18.0.1\n \n\0\n`,
    {},
  ],
  [
    "an address in another spelling",
    asks(1, "a.test", "AAAA") +
      line(1, "reply a.test is 2001:0002::1") +
      line(1, "reply a.test is 2001:2::A") +
      line(1, "reply a.test is ::ffff:198.18.0.1"),
    {},
  ],
  [
    "what looks like an address",
    asks(1, "a.test") +
      line(1, "reply a.test is 198.18.0.1 ") +
      line(1, "reply a.test is 198.18.0.256") +
      line(1, "reply a.test is 198.18.0.1/32"),
    {},
  ],
  [
    "names of an object",
    asks(1, "__proto__") + line(1, "reply x is 198.18.0.1"),
    { ["__proto__"]: ["198.18.0.1"] },
  ],
])("%s", (_, log, expected) => {
  expect([...attributeAnswers(log)].map(([name, addresses]) => [name, [...addresses]])).toEqual(
    Object.entries(expected),
  );
});

test.each([
  "a b.test",
  "a\tb.test",
  "-a.test",
  "a..test",
  "",
  "*.test",
  "<name",
  "\u212a.test",
  "bücher.test",
  `${"a".repeat(64)}.test`,
])("skips the question for %j", (name) => {
  const log = asks(1, "before.test") + asks(1, name) + line(1, "reply x is 198.18.0.1");
  expect(plain(attributeAnswers(log))).toEqual({});
});

test("gives canonical names and addresses only, whatever it reads", () => {
  const whole = fc.constantFrom(
    STARTED,
    asks(1, "a.test"),
    asks(2, "B.test"),
    asks(2, "b c.test"),
    line(1, "reply a.test is 198.18.0.1"),
    line(2, "reply x is 2001:2::1"),
    line(2, "reply x is 2001:2::01"),
  );
  const piece = fc.oneof(
    fc.constantFrom(
      "\n",
      " is ",
      "reply ",
      "query[A] ",
      "dnsmasq[70]: ",
      "1 127.0.0.1/1 ",
      "Nov 24 02:51:39 ",
    ),
    anyText({ maxLength: 5 }),
  );
  const part = fc.oneof({ arbitrary: whole, weight: 5 }, piece);
  let attributed = 0;
  fc.assert(
    fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
      for (const [name, addresses] of attributeAnswers(parts.join(""))) {
        expect(isDomainName(name)).toBe(true);
        expect([...addresses].every((address) => isIP(address) !== 0)).toBe(true);
        attributed += addresses.size;
      }
    }),
    { numRuns: 2000 },
  );
  expect(attributed).toBeGreaterThan(100);
});

test("an attack on the log does not hold it up: 10 MiB of one line, or of many names", () => {
  const size = 10 * 1024 * 1024;
  const head = line(1, "reply a.test").trimEnd();
  for (const unit of [" is ", "]: ", "a", " ", ".", "query[A] "]) {
    expect(attributeAnswers(`${head}${unit.repeat(size / unit.length)}\n`).size).toBe(0);
  }
  const many = Array.from({ length: size / 256 }, (_, index) => {
    const name = `${index.toString(2).split("").join(".")}.test`;
    return asks(index, name) + line(index, `reply ${name} is 198.18.0.1`);
  });
  expect(attributeAnswers(many.join("")).size).toBe(many.length);
});

function plain(answers: ReadonlyMap<string, ReadonlySet<string>>): Record<string, string[]> {
  return Object.fromEntries([...answers].map(([name, addresses]) => [name, [...addresses]]));
}
