import fc from "fast-check";
import { expect, test } from "vitest";
import { parseContainerName } from "./container-name.ts";
import { ShieldError } from "./shield-error.ts";

test.each(["a", "web", "Web_1.2-x", "0", "a..b", "web.lock", "con", "a".repeat(128)])(
  "%j is a container name",
  (text) => expect(parseContainerName(text)).toBe(text),
);

test.each([
  "",
  ".",
  "..",
  "../web",
  "web/../../etc",
  "/web",
  "web/",
  "-web",
  "--privileged",
  "_web",
  ".web",
  " web",
  "web ",
  "web\n",
  "web\0",
  "web\u001b[31m",
  "a b",
  "a,b",
  "a:b",
  "a=b",
  "$(id)",
  "wéb",
  "ｗｅｂ",
  "веб",
  "web\u200b",
  "a".repeat(129),
])("%j is not a container name", (text) => {
  expect(() => parseContainerName(text)).toThrow(
    new ShieldError(
      `${JSON.stringify(text)} is not a container name. Use letters, digits, "_", "." and "-", a letter or digit first.`,
      { code: "usage" },
    ),
  );
});

test("a container name is always one component of a path", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", ".", "/", "-", "\n", "é"), maxLength: 6 }), (text) => {
      let name: string;
      try {
        name = parseContainerName(text);
      } catch (cause) {
        expect(cause).toBeInstanceOf(ShieldError);
        return;
      }
      expect(new URL(name, "file:///containers/").pathname).toBe(`/containers/${name}`);
    }),
  );
});
