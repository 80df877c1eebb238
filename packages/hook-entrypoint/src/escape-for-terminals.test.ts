import { expect, test } from "vitest";
import { escapeForTerminals } from "./escape-for-terminals.ts";

test.each([
  ["plain text: Ünïcode, 日本, 😀", "plain text: Ünïcode, 日本, 😀"],
  ["a\nb\r\tc\0", "a\\u000ab\\u000d\\u0009c\\u0000"],
  ["\u001b[2J\u009b31m\u007f", "\\u001b[2J\\u009b31m\\u007f"],
  ["\u2028\u2029\u0085", "\\u2028\\u2029\\u0085"],
  ["\u061c\u200e\u200f\u202a\u202e\u2066\u2069", "\\u061c\\u200e\\u200f\\u202a\\u202e\\u2066\\u2069"],
])("%j becomes %j", (text, escaped) => {
  expect(escapeForTerminals(text)).toBe(escaped);
});
