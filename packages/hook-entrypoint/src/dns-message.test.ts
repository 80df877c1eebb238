import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAddresses, parseResponse, renderAnswer, renderQuery } from "./dns-message.ts";

const name = "probe.terok-shield.invalid";
const addresses = {
  A: Buffer.from([198, 18, 255, 254]),
  AAAA: Buffer.from("20010002000000000000fffffffffffe", "hex"),
};

test("a query is what RFC 1035 draws", () => {
  expect(renderQuery(0x1234, "ab.c", "A").toString("hex")).toBe(
    ["1234", "0100", "0001", "0000", "0000", "0000", "02", "6162", "01", "63", "00", "0001", "0001"].join(""),
  );
  expect(renderQuery(1, "c", "AAAA").subarray(-4).toString("hex")).toBe("001c0001");
});

test("an answer repeats the question and gives the address with a lifetime of 0", () => {
  const question = ["026162", "0163", "00", "001c", "0001"].join("");
  expect(renderAnswer(renderQuery(0x1234, "ab.c", "AAAA"), "ab.c", addresses)?.toString("hex")).toBe(
    ["1234", "8180", "0001", "0001", "0000", "0000", question].join("") +
      ["c00c", "001c", "0001", "00000000", "0010", addresses.AAAA.toString("hex")].join(""),
  );
});

test("a query comes back as an answer with its id", () => {
  const anyName = fc
    .array(fc.stringMatching(/^[a-z0-9-]{1,63}$/), { minLength: 1, maxLength: 3 })
    .map((labels) => labels.join("."));
  fc.assert(
    fc.property(
      fc.nat(0xffff),
      anyName,
      fc.constantFrom("A", "AAAA"),
      fc.uint8Array({ maxLength: 40 }),
      (id, asked, type, extra) => {
        // What follows the question (EDNS) is not repeated.
        const query = Buffer.concat([renderQuery(id, asked, type), extra]);
        const answer = renderAnswer(query, asked, addresses) ?? Buffer.alloc(0);
        expect(parseResponse(answer)).toEqual({ id, responseCode: 0, answers: 1, isTruncated: false });
        expect(parseAddresses(answer)).toEqual([type === "A" ? "198.18.255.254" : "2001:2::ffff:ffff:fffe"]);
        expect(answer.subarray(-addresses[type].length)).toEqual(addresses[type]);
        expect(renderAnswer(query, `${asked}.x`, addresses)).toBeUndefined();
      },
    ),
  );
});

test("letters of another size are the same name (0x20 encoding)", () => {
  const query = renderQuery(1, name.toUpperCase(), "A");
  expect(renderAnswer(query, name, addresses)?.subarray(12, query.length)).toEqual(query.subarray(12));
});

describe("gets no answer:", () => {
  const query = renderQuery(1, name, "A");
  const changed = (offset: number, value: number) => {
    const copy = Buffer.from(query);
    copy.writeUInt16BE(value, offset);
    return copy;
  };
  test.each([
    ["another name", renderQuery(1, "other.terok-shield.invalid", "A")],
    ["a name below", renderQuery(1, `a.${name}`, "A")],
    ["the name above", renderQuery(1, "terok-shield.invalid", "A")],
    ["another type", changed(query.length - 4, 16)],
    ["two questions", changed(4, 2)],
    ["no question", changed(4, 0)],
    ["a query cut short", query.subarray(0, -1)],
    ["nothing", Buffer.alloc(0)],
  ])("%s", (_, message) => {
    expect(renderAnswer(message, name, addresses)).toBeUndefined();
  });
});

test.each([
  [withFlags(0x8185), { id: 7, responseCode: 5, answers: 0, isTruncated: false }],
  [withFlags(0x8380), { id: 7, responseCode: 0, answers: 0, isTruncated: true }],
  [Buffer.alloc(11), undefined],
])("a response of %o is %o", (message, response) => {
  expect(parseResponse(message)).toEqual(response);
});

describe("the addresses of an answer", () => {
  const QUESTION = ["01", "61", "00", "0001", "0001"].join("");
  const record = (owner: string, type: string, data: string) =>
    [owner, type, "0001", "0000003c", (data.length / 2).toString(16).padStart(4, "0"), data].join("");
  const POINTER = "c00c";
  const message = (...records: string[]) =>
    Buffer.from(
      ["0007", "8180", "0001", records.length.toString(16).padStart(4, "0"), "0000", "0000", QUESTION].join(
        "",
      ) + records.join(""),
      "hex",
    );
  const V4 = record(POINTER, "0001", "c6120001");

  test.each<[string, Buffer, string[]]>([
    ["none", message(), []],
    ["several", message(V4, record(POINTER, "0001", "c6120002")), ["198.18.0.1", "198.18.0.2"]],
    [
      "both families, the IPv6 in short",
      message(V4, record(POINTER, "001c", "20010002000000000000000000000001")),
      ["198.18.0.1", "2001:2::1"],
    ],
    [
      "at the end of a chain of names",
      message(record(POINTER, "0005", "0363646e00"), record("0363646e00", "0001", "c6120003")),
      ["198.18.0.3"],
    ],
    ["beside other types", message(record(POINTER, "0010", "0161"), V4), ["198.18.0.1"]],
    [
      "of the wrong length",
      message(record(POINTER, "0001", "c61200"), record(POINTER, "001c", "c6120001")),
      [],
    ],
    ["before a cut", message(V4, V4).subarray(0, -1), ["198.18.0.1"]],
    ["fewer than the header says", message(V4, ""), ["198.18.0.1"]],
  ])("%s", (_, response, expected) => expect(parseAddresses(response)).toEqual(expected));
});

test("no message makes the readers throw", () => {
  for (let run = 0; run < 5000; run++) {
    const message = randomBytes(run % 80);
    expect(() => [
      parseResponse(message),
      parseAddresses(message),
      renderAnswer(message, name, addresses),
    ]).not.toThrow();
  }
  const damaged = fc.tuple(fc.nat(60), fc.nat(255), fc.nat(60));
  fc.assert(
    fc.property(damaged, ([offset, value, length]) => {
      const query = renderQuery(1, name, "A");
      query[offset % query.length] = value;
      expect(() => renderAnswer(query.subarray(0, length), name, addresses)).not.toThrow();
      const answer = renderAnswer(renderQuery(1, name, "AAAA"), name, addresses) ?? query;
      answer[offset % answer.length] = value;
      expect(() => parseAddresses(answer.subarray(0, length))).not.toThrow();
    }),
  );
});

function withFlags(flags: number): Buffer {
  const message = renderQuery(7, name, "A");
  message.writeUInt16BE(flags, 2);
  return message;
}
