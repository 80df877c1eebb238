import { describe, expect, test } from "vitest";
import { ProfileError, parseProfile } from "./parse-profile.ts";
import { canonicaliseRange } from "./stand-in-range.ts";

const options = { file: "team.txt", canonicaliseRange };
const labelOf = (length: number) => "a".repeat(length);

describe("a wrong line is refused with its file and line", () => {
  test.each([
    // Addresses that are none are never taken for names.
    ["010.0.0.1", "is not an IP address"],
    ["10.1", "is not an IP address"],
    ["0x7f.0.0.1", "is not an IP address"],
    ["0x7f000001", "is not an IP address"],
    ["2130706433", "is not an IP address"],
    ["1.2.3.4.5", "is not an IP address"],
    ["1.2.3.256", "is not an IP address"],
    ["1.2.3.4.", "is not an IP address"],
    ["1.2.3", "is not an IP address"],
    ["1.2.3.4/33", "is not an IP address"],
    ["1.2.3.4/", "is not an IP address"],
    ["1.2.3.4/24/24", "is not an IP address"],
    ["1.2.3.4/255.255.255.0", "is not an IP address"],
    ["1.2.3.4-1.2.3.9", "is not an IP address"],
    ["foo.10", "is not an IP address"],
    ["foo.0x1f", "is not an IP address"],
    ["::1::", "is not an IP address"],
    ["2001:db8::/129", "is not an IP address"],
    ["2001:db8::g", "is not an IP address"],
    ["fe80::1%eth0", "is not an IP address"],
    ["[fe80::1%25eth0]", "is not an IP address"],
    ["2001:db8::1:443/tcp", "is not an IP address"],
    ["１.2.3.4", "is not an IP address"],
    ["1.2.3.４", '"４" in it'],
    // Names.
    ["exa mple.com", '" " in it'],
    ["exa\tmple.com", "in it"],
    ["a..b", "empty label"],
    [".example.com", "empty label"],
    ["example.com..", "empty label"],
    [".", "empty label"],
    [`${labelOf(64)}.com`, "a label of 64 bytes"],
    [`${`${labelOf(63)}.`.repeat(3)}${labelOf(62)}`, "has 254 bytes"],
    ["localhost", "is a single label"],
    ["com", "is a single label"],
    ["-a.com", 'the label "-a"'],
    ["a-.com", 'the label "a-"'],
    ["a.-b.com", 'the label "-b"'],
    ["example.com-", 'the label "com-"'],
    ["exam%70le.com", '"%" in it'],
    ["example.com#comment", '"#" in it'],
    ["example.com,example.org", '"," in it'],
    ["example.com example.org", '" " in it'],
    ["!example.com", '"!" in it'],
    ["xn--a.com", "xn-- label"],
    ["xn--.com", 'the label "xn--"'],
    ["xn--a-.com", 'the label "xn--a-"'],
    [`${"ü".repeat(60)}.com`, "a label of 66 bytes"],
    ["\u0301a.com", "not an internationalised host name"],
    ["exam。ple.com", '"。" in it'],
    ["ｅxample.com", '"ｅ" in it'],
    ["\u212aernel.org", '"\u212a" in it'],
    ["exa\u00admple.com", "in it"],
    ["exa\u200dmple.com", "in it"],
    ["exa\ufe0fmple.com", "in it"],
    ["example\u00a0.com", "in it"],
    ["☃.net", '"☃" in it'],
    // Wildcards.
    ["*", "is not a wildcard"],
    ["*.", "is not a wildcard"],
    ["**.example.com", "is not a wildcard"],
    ["*.*.example.com", "is not a wildcard"],
    ["foo*.com", "is not a wildcard"],
    ["*foo.example.com", "is not a wildcard"],
    ["a.*.example.com", "is not a wildcard"],
    ["example.*", "is not a wildcard"],
    ["*..example.com", "empty label"],
    ["*.1.2.3.4", "is not an IP address"],
    ["*.com", "opens the names of everybody"],
    ["*.co.uk", "opens the names of everybody"],
    ["*.github.io", "opens the names of everybody"],
    ["*.kawasaki.jp", "opens the names of everybody"],
    ["*.internal", "opens the names of everybody"],
    [`*.${`${labelOf(63)}.`.repeat(3)}${labelOf(60)}`, "too long"],
    // Ports.
    ["x.com:", '"" is not a port'],
    ["x.com:0", '"0" is not a port'],
    ["x.com:70000", '"70000" is not a port'],
    ["x.com:0443", '"0443" is not a port'],
    ["x.com:+80", '"+80" is not a port'],
    ["x.com:https", '"https" is not a port'],
    ["x.com:80-", '"" is not a port'],
    ["x.com:-80", '"" is not a port'],
    ["x.com:80-90-100", '"90-100" is not a port'],
    ["x.com:8010-8000", "is not a port range"],
    ["x.com:80/icmp", '"icmp" is not a protocol'],
    ["x.com:80/", '"" is not a protocol'],
    ["x.com:80/TCP", '"TCP" is not a protocol'],
    ["x.com/tcp", '"/" in it'],
    ["10.0.0.0:443/8", '"8" is not a protocol'],
    [":443", "empty label"],
    ["[2001:db8::1]443", "in brackets"],
    ["[2001:db8::1", "in brackets"],
    ["[2001:db8::]/32:443", "in brackets"],
    ["[10.0.0.1]:443", "in brackets"],
    ["[example.com]:443", "in brackets"],
    ["[]:443", "in brackets"],
    ["[2001:db8::1]:0", '"0" is not a port'],
    // Other languages.
    ["http://x.com", "is a URL"],
    ["https://x.com:443/path", "is a URL"],
    ["x.com/path", '"/" in it'],
    ["x.com?query", '"?" in it'],
    ["user@x.com", '"@" in it'],
    ["server=/x/1.1.1.1", '"=" in it'],
    ["server=/example.com/1.1.1.1#53", '"=" in it'],
    ["/example.com/", '"/" in it'],
    ["nftset=/x.com/4", '"=" in it'],
    ["example.com; drop", '";" in it'],
    ["1.1.1.1; drop", '";" in it'],
    ["1.1.1.1 accept }", '" " in it'],
    ["{ 1.1.1.1, 2.2.2.2 }", '"{" in it'],
    ["@allow_v4", '"@" in it'],
    ["$(id).com", '"$" in it'],
    ["`id`.com", '"`" in it'],
    ["a|b.com", '"|" in it'],
    ["../../etc/passwd", '"/" in it'],
    ["example.com\\n1.1.1.1", "is not an IP address"],
    ["1.1.1.1\\nexample.com", '"\\\\" in it'],
    ['"example.com"', '"\\"" in it'],
    // What cannot be seen.
    ["example.com\0", "control character"],
    ["\0", "control character"],
    ["example.com\r1.1.1.1", "control character"],
    ["example.com\u001b[2K", "control character"],
    ["example.com\u0085", "control character"],
    ["example.com\u2028evil.com", "control character"],
    ["\u202emoc.elpmaxe", "control character"],
    ["example.com # harmless\u001b[2K", "control character"],
    ["# harmless\rexample.com", "control character"],
  ])("%j", (line, reason) => {
    const complaints = complaintsOf(`# Our team\n\ngood.example.com\n${line}\n`);
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toMatch(/^team\.txt:4: /);
    expect(complaints[0]).toContain(reason);
  });
});

test("all wrong lines are told at once, one a line, as file:line: message", () => {
  expect(complaintsOf("foo*.com\nexample.com\r\n\r\nx.com:0\r\n")).toEqual([
    'team.txt:1: "foo*.com" is not a wildcard. Write one star as the whole first label, as in *.example.com.',
    'team.txt:4: "0" is not a port. Write 1-65535, without leading zeros.',
  ]);
});

test("a complaint is one short line that a terminal shows as text", () => {
  const [complaint = ""] = complaintsOf(`\u009b2J\u001b[2K${"x".repeat(100_000)}`);
  expect(complaint).toContain('"\\u009b2J\\u001b[2Kxxx');
  expect(complaint).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
  expect(complaint.length).toBeLessThan(300);
});

test("an error that is not about the text comes through as it is", () => {
  const failure = new TypeError("bug");
  const broken = {
    file: "team.txt",
    get canonicaliseRange(): never {
      throw failure;
    },
  };
  expect(() => parseProfile("1.2.3.4", broken)).toThrow(failure);
});

test("entries come in the order of the file, each with its line", () => {
  const text = [
    "\uFEFF# Our team",
    "",
    "example.com",
    "  \t*.example.com:443/tcp   # for the tests # twice",
    "\t# indented comment",
    "10.0.0.0/8 # the lab",
    "example.com",
    "  ",
  ].join("\r\n");
  const source = (line: number) => ({ file: "team.txt", line });
  expect(parseProfile(text, options)).toEqual([
    { kind: "name", name: "example.com", source: source(3) },
    {
      kind: "wildcard",
      parent: "example.com",
      ports: { first: 443, last: 443, protocol: "tcp" },
      source: source(4),
    },
    { kind: "range", range: "10.0.0.0/8", source: source(6) },
    { kind: "name", name: "example.com", source: source(7) },
  ]);
});

test.each(["", "\n", "# nothing", "\uFEFF"])("%j is a profile without entries", (text) => {
  expect(parseProfile(text, options)).toEqual([]);
});

function complaintsOf(text: string): string[] {
  try {
    parseProfile(text, options);
  } catch (error) {
    if (error instanceof ProfileError) return error.message.split("\n");
    throw error;
  }
  return [];
}
