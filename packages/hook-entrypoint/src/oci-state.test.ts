import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { MAX_STATE_LENGTH, parseOciState, readAnnotatedDirectory } from "./oci-state.ts";
import { ShieldRefusal } from "./shield-refusal.ts";

const id = "4a5b6241eb596571d44a7c70c76ca297d76d297fd06ee6866fa703127575119e";
const bundle = `/home/me/.local/share/containers/storage/overlay-containers/${id}/userdata`;
/** As crun hands it to createRuntime. */
const state = {
  ociVersion: "1.0",
  id,
  pid: 3272,
  root: "/home/me/.local/share/containers/storage/overlay/0f1e/merged",
  bundle,
  status: "created",
  annotations: { "io.container.manager": "libpod", "terok.shield.state_dir": "/state/containers/web" },
};
const without = (key: keyof typeof state) => JSON.stringify({ ...state, [key]: undefined });
const including = (change: object) => JSON.stringify({ ...state, ...change });
const named = (name: unknown) => including({ id: name });

test("the state at createRuntime names the container, its bundle, its process and its annotations", () => {
  expect(parseOciState(JSON.stringify(state))).toEqual({
    id,
    bundle,
    pid: 3272,
    annotations: state.annotations,
  });
});

test.each([
  ["has no process any more, at poststop", without("pid"), { pid: undefined }],
  ["has process 0, which is none", including({ pid: 0 }), { pid: undefined }],
  ["has no annotations", without("annotations"), { annotations: {} }],
  ["is spread over lines", JSON.stringify(state, null, 2), {}],
])("a state may be one that %s", (_, text, change) => {
  expect(parseOciState(text)).toEqual({ id, bundle, pid: 3272, annotations: state.annotations, ...change });
});

const NOT_JSON = "the OCI state on standard input is not JSON";
const NO_OBJECT = "the OCI state on standard input is not a JSON object";
const NO_ID = "the OCI state names no container id: ";
const NO_BUNDLE = "the OCI state names no bundle directory: ";
const NO_PID = "the OCI state holds no process id: ";
const NO_TEXT = "the OCI state holds annotations that are not text";

describe("a malformed state is refused", () => {
  test.each([
    ["nothing", "", NOT_JSON],
    ["a blank", " \n", NOT_JSON],
    ["a word", "state", NOT_JSON],
    ["half a state", JSON.stringify(state).slice(0, -1), NOT_JSON],
    ["two states", `${JSON.stringify(state)}\n${JSON.stringify(state)}`, NOT_JSON],
    ["a byte order mark", `\ufeff${JSON.stringify(state)}`, NOT_JSON],
    ["a zero byte behind it", `${JSON.stringify(state)}\0`, NOT_JSON],
    ["single quotes", "{'id': 'x'}", NOT_JSON],
    ["null", "null", NO_OBJECT],
    ["a number", "1", NO_OBJECT],
    ["a text", '"state"', NO_OBJECT],
    ["a list", `[${JSON.stringify(state)}]`, NO_OBJECT],
    ["an empty object", "{}", `${NO_ID}nothing`],
    ["no id", without("id"), `${NO_ID}nothing`],
    ["an empty id", named(""), `${NO_ID}""`],
    ["a short id", named(id.slice(0, 12)), `${NO_ID}"4a5b6241eb59"`],
    ["a long id", named(`${id}0`), `${NO_ID}"${id}0"`],
    ["an id in capitals", named(id.toUpperCase()), `${NO_ID}"${id.toUpperCase()}"`],
    ["an id with a newline", named(`${id}\n`), `${NO_ID}"${id}\\n"`],
    ["an id that climbs", named("../../etc/passwd"), `${NO_ID}"../../etc/passwd"`],
    ["an id without end", named("a".repeat(5000)), `${NO_ID}"${"a".repeat(99)}`],
    ["a number as id", named(7), `${NO_ID}7`],
    ["a list as id", named([id]), `${NO_ID}a list`],
    ["an object as id", named({ id }), `${NO_ID}an object`],
    ["null as id", named(null), `${NO_ID}null`],
    ["a bottomless id", `{"id":${"[".repeat(5000)}${"]".repeat(5000)}}`, `${NO_ID}a list`],
    ["an id by way of a prototype", `{"__proto__":${JSON.stringify(state)}}`, `${NO_ID}nothing`],
    ["no bundle", without("bundle"), `${NO_BUNDLE}nothing`],
    ["an empty bundle", including({ bundle: "" }), `${NO_BUNDLE}""`],
    ["a relative bundle", including({ bundle: "userdata" }), `${NO_BUNDLE}"userdata"`],
    ["a bundle with a zero byte", including({ bundle: "/a\0b" }), `${NO_BUNDLE}"/a\\u0000b"`],
    ["a list as bundle", including({ bundle: [bundle] }), `${NO_BUNDLE}a list`],
    ["a text as process id", including({ pid: "3272" }), `${NO_PID}"3272"`],
    ["a negative process id", including({ pid: -1 }), `${NO_PID}-1`],
    ["half a process id", including({ pid: 1.5 }), `${NO_PID}1.5`],
    ["a process id past all numbers", including({ pid: 2 ** 53 }), `${NO_PID}9007199254740992`],
    ["null as process id", including({ pid: null }), `${NO_PID}null`],
    ["true as process id", including({ pid: true }), `${NO_PID}true`],
    ["null as annotations", including({ annotations: null }), NO_TEXT],
    ["a list as annotations", including({ annotations: ["a"] }), NO_TEXT],
    ["a text as annotations", including({ annotations: "a" }), NO_TEXT],
    ["a number as annotation", including({ annotations: { a: 1 } }), NO_TEXT],
    ["null as annotation", including({ annotations: { a: null } }), NO_TEXT],
    ["an object as annotation", including({ annotations: { a: {} } }), NO_TEXT],
    [
      "more than a mebibyte",
      " ".repeat(MAX_STATE_LENGTH) + JSON.stringify(state),
      "the OCI state on standard input is too long",
    ],
  ])("%s", (_, text, message) => {
    expect(() => parseOciState(text)).toThrow(new ShieldRefusal(message));
  });
});

test("the state directory is the one that an annotation names, or there is none", () => {
  expect(readAnnotatedDirectory(parseOciState(JSON.stringify(state)))).toBe("/state/containers/web");
  expect(() => readAnnotatedDirectory(parseOciState(including({ annotations: {} })))).toThrow(
    new ShieldRefusal("the annotation terok.shield.state_dir is missing"),
  );
});

test("no text whatever throws anything but a refusal of one line", () => {
  const hostile = fc.oneof(
    anyText(),
    fc.json(),
    fc
      .record({ id: fc.oneof(fc.constant(id), fc.jsonValue()), bundle: fc.jsonValue(), pid: fc.jsonValue() })
      .map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(hostile, (text) => {
      try {
        parseOciState(text);
      } catch (error) {
        expect(error).toBeInstanceOf(ShieldRefusal);
        expect((error as Error).message).not.toMatch(/[\n\0]/);
      }
    }),
    { numRuns: 2000 },
  );
});
