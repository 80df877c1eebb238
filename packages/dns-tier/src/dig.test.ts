import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { digArguments, parseDigAnswers } from "./dig.ts";
import { isIpText } from "./ip-text.ts";

test("asks one question, free of the owner's defaults", () => {
  expect(digArguments("api.example.com", "AAAA", { timeoutSeconds: 2 }).join(" ")).toBe(
    "-r +nosearch +time=2 +tries=2 +noall +comments +answer -q api.example.com -t AAAA",
  );
});

test("asks the resolver it is given", () => {
  expect(digArguments("a.test", "A", { timeoutSeconds: 1, server: "127.0.0.1#5353" }).slice(0, 4)).toEqual([
    "-r",
    "@127.0.0.1",
    "-p",
    "5353",
  ]);
});

test.each(["-f/etc/passwd", "+short", "@198.18.0.1", "a b", ""])("refuses %j as a name", (name) => {
  expect(() => digArguments(name, "A", { timeoutSeconds: 1 })).toThrow("is not a canonical domain name");
});

test("refuses a resolver that is none", () => {
  expect(() => digArguments("a.test", "A", { timeoutSeconds: 1, server: "-x" })).toThrow(
    "is not the address of a resolver",
  );
});

const HEADER =
  ";; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 4711\n;; flags: qr rd ra; QUERY: 1, ANSWER: 1\n";

describe("parseDigAnswers", () => {
  test.each([
    ["one record", ["a.test. 300 IN A 198.18.0.7"], ["198.18.0.7"]],
    ["tabs and another case", ["A.Test.\t\t300\tIN\tA\t198.18.0.7"], ["198.18.0.7"]],
    [
      "both families",
      ["a.test. 1 IN A 198.18.0.7", "a.test. 1 IN AAAA 2001:2::7"],
      ["198.18.0.7", "2001:2::7"],
    ],
    ["the same address twice", ["a.test. 1 IN A 198.18.0.7", "a.test. 2 IN A 198.18.0.7"], ["198.18.0.7"]],
    [
      "aliases in any order",
      ["c.test. 1 IN A 198.18.0.7", "b.test. 1 IN CNAME c.test.", "a.test. 1 IN CNAME b.test."],
      ["198.18.0.7"],
    ],
    ["an address of a name that nothing leads to", ["b.test. 1 IN A 198.18.0.7"], []],
    ["an alias of another name", ["b.test. 1 IN CNAME c.test.", "c.test. 1 IN A 198.18.0.7"], []],
    ["a loop of aliases", ["a.test. 1 IN CNAME b.test.", "b.test. 1 IN CNAME a.test."], []],
    ["other records", ['a.test. 1 IN TXT "198.18.0.7"', "a.test. 1 IN MX 10 198.18.0.7"], []],
    ["another class", ["a.test. 1 CH A 198.18.0.7"], []],
    ["a comment", ["; a.test. 1 IN A 198.18.0.7", ";a.test. 1 IN A 198.18.0.7"], []],
    ["the address in the wrong record", ["a.test. 1 IN AAAA 198.18.0.7", "a.test. 1 IN A 2001:2::7"], []],
    ["an address in another notation", ["a.test. 1 IN A 010.0.0.1", "a.test. 1 IN A 10.1"], []],
    ["a record type that every object has", ["a.test. 1 IN constructor 198.18.0.7"], []],
    ["more after the address", ["a.test. 1 IN A 198.18.0.7 198.18.0.8"], []],
    ["no time to live", ["a.test. IN A 198.18.0.7", "a.test. x IN A 198.18.0.7"], []],
    ["half a time to live", ["a.test. 1h IN A 198.18.0.7", "a.test. h1 IN A 198.18.0.8"], []],
    [
      "a record that names another but is no alias",
      ["a.test. 1 IN NS b.test.", "b.test. 1 IN A 198.18.0.7"],
      [],
    ],
    ["no value", ["a.test. 1 IN A", "a.test. 1 IN", "a.test."], []],
    ["a record with space around it", ["  a.test. 1 IN A 198.18.0.7  "], ["198.18.0.7"]],
  ])("%s", (_, lines, addresses) => {
    expect(parseDigAnswers(`${HEADER}\n${lines.join("\n")}\n`, "a.test")).toEqual({
      status: "NOERROR",
      addresses,
    });
  });

  test.each([
    [HEADER.replace("NOERROR", "NXDOMAIN"), "NXDOMAIN"],
    [HEADER.replace("NOERROR", "SERVFAIL"), "SERVFAIL"],
    [";; communications error to 127.0.0.1#53: timed out\n;; no servers could be reached\n", undefined],
    ["", undefined],
    [HEADER.replace("NOERROR", "\u001b[31m"), undefined],
    [HEADER.replace(";; ->>", "a.test. ;; ->>"), undefined],
  ])("reads the status of %j", (output, status) => {
    expect(parseDigAnswers(output, "a.test")).toEqual({
      addresses: [],
      ...(status === undefined ? {} : { status }),
    });
  });

  test("gives nothing but addresses, whatever it reads", () => {
    const field = fc.oneof(
      fc.constantFrom("a.test.", "1", "IN", "A", "AAAA", "CNAME", "\t", "\n"),
      fc.ipV4(),
      fc.ipV6(),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        expect(parseDigAnswers(fields.join(" "), "a.test").addresses.every(isIpText)).toBe(true);
      }),
    );
  });
});
