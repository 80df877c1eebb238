import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { getentArguments, parseGetentAnswers } from "./getent.ts";
import { isIpText } from "./ip-text.ts";

test("asks for the name itself, past any search list", () => {
  expect(getentArguments("api.example.com")).toEqual(["ahosts", "api.example.com."]);
});

test.each(["-s", "--help", "", "a b"])("refuses %j as a name", (name) => {
  expect(() => getentArguments(name)).toThrow("is not a canonical domain name");
});

describe("parseGetentAnswers", () => {
  test("reads each address once, in the order of the resolver", () => {
    const output = `2001:2::7       STREAM api.example.com
2001:2::7       DGRAM
2001:2::7       RAW
198.18.0.7      STREAM
198.18.0.7      DGRAM
198.18.0.7      RAW
`;
    expect(parseGetentAnswers(output)).toEqual(["2001:2::7", "198.18.0.7"]);
  });

  test.each([
    ["::ffff:198.18.0.7 STREAM a.test\n", "a mapped address"],
    ["fe80::1%eth0 STREAM a.test\n", "an address with a zone"],
    ["a.test 198.18.0.7\n", "an address in the wrong column"],
    [" 198.18.0.7\n", "a line that begins with a space"],
    ["010.0.0.1 STREAM\n", "another notation"],
    ["", "nothing"],
  ])("finds no address in %j: %s", (output) => {
    expect(parseGetentAnswers(output)).toEqual([]);
  });

  test("gives nothing but addresses, whatever it reads", () => {
    const field = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string(), fc.constantFrom("\n", " STREAM "));
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        expect(parseGetentAnswers(fields.join("")).every(isIpText)).toBe(true);
      }),
    );
  });
});
