import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { anyText } from "../testing/any-text.ts";
import { type Config, parseConfig } from "./config.ts";
import { ShieldError } from "./shield-error.ts";

const DEFAULTS: Config = {
  mode: "hook",
  default_profiles: ["dev-standard"],
  loopback_ports: [],
  audit: { enabled: true },
  network: "auto",
  dns: { tier: "auto", timeout_seconds: 7200 },
  allow_public_suffix_wildcards: false,
};

test.each([
  ["an empty file", ""],
  ["comments alone", "# mode: auto\n"],
  ["an empty document", "---\n...\n"],
  ["null", "~"],
  ["an empty map", "{}"],
  ["empty sections", "audit: {}\ndns: {}\n"],
])("%s means the defaults", (_, text) => expect(parseConfig(text, "config.yml")).toEqual(DEFAULTS));

describe("each key is read", () => {
  test.each<[string, Partial<Config>]>([
    ["mode: auto", { mode: "auto" }],
    ["mode: hook", { mode: "hook" }],
    ["default_profiles: [base, my_own-1]", { default_profiles: ["base", "my_own-1"] }],
    ["default_profiles: []", { default_profiles: [] }],
    ["loopback_ports: [1, 65535]", { loopback_ports: [1, 65535] }],
    ["audit: {enabled: false}", { audit: { enabled: false } }],
    ["network: slirp4netns", { network: "slirp4netns" }],
    ["network: pasta", { network: "pasta" }],
    ["dns: {tier: dig}", { dns: { tier: "dig", timeout_seconds: 7200 } }],
    ["dns:\n  timeout_seconds: 86400\n", { dns: { tier: "auto", timeout_seconds: 86_400 } }],
    ["allow_public_suffix_wildcards: true", { allow_public_suffix_wildcards: true }],
    // YAML of another hand: quotes, anchors, tags of YAML's own, Windows line ends, a byte order mark.
    ['"mode": "auto"', { mode: "auto" }],
    ['{"loopback_ports": [8080]}', { loopback_ports: [8080] }],
    ["loopback_ports: &ports [8080]\n", { loopback_ports: [8080] }],
    ["mode: !!str auto", { mode: "auto" }],
    ["mode: auto\r\nnetwork: pasta\r\n", { mode: "auto", network: "pasta" }],
    ["\uFEFFmode: auto", { mode: "auto" }],
  ])("%j", (text, expected) => {
    expect(parseConfig(text, "config.yml")).toEqual({ ...DEFAULTS, ...expected });
  });
});

const KNOWN_KEYS =
  "Known keys: mode, default_profiles, loopback_ports, audit, network, dns, allow_public_suffix_wildcards.";

describe("a wrong file is refused, and the complaint names the place and the value", () => {
  test.each([
    // Unknown keys.
    ["mod: hook", 'config.yml, top level: "mod" is not a key. Did you mean mode?'],
    [
      "loopback_port: [80]",
      'config.yml, top level: "loopback_port" is not a key. Did you mean loopback_ports?',
    ],
    ["Mode: hook", 'config.yml, top level: "Mode" is not a key. Did you mean mode?'],
    ["colour: red", `config.yml, top level: "colour" is not a key. ${KNOWN_KEYS}`],
    ["audit: {enable: false}", 'config.yml, audit: "enable" is not a key. Did you mean enabled?'],
    ["dns: {ttl: 3}", 'config.yml, dns: "ttl" is not a key. Known keys: tier, timeout_seconds.'],
    ["__proto__: {mode: auto}", `config.yml, top level: "__proto__" is not a key. ${KNOWN_KEYS}`],
    ["constructor: 1", `config.yml, top level: "constructor" is not a key. ${KNOWN_KEYS}`],
    ["<<: {mode: auto}", `config.yml, top level: "<<" is not a key. ${KNOWN_KEYS}`],
    ["1: x", `config.yml, top level: "1" is not a key. ${KNOWN_KEYS}`],
    ['"a\\e[31m": x', `config.yml, top level: "a\\u001b[31m" is not a key. ${KNOWN_KEYS}`],

    // Wrong values.
    ["mode: of", 'config.yml, mode: "of" is not one of hook, auto.'],
    ["mode:", "config.yml, mode: null is not one of hook, auto."],
    ["mode: {}", "config.yml, mode: A map is not one of hook, auto."],
    ["network: host", 'config.yml, network: "host" is not one of auto, slirp4netns, pasta.'],
    ["dns: {tier: dgi}", 'config.yml, dns.tier: "dgi" is not one of auto, dnsmasq, dig, getent.'],
    ["loopback_ports: [70000]", "config.yml, loopback_ports[0]: 70000 is not a port (1-65535)."],
    ["loopback_ports: [80, 0]", "config.yml, loopback_ports[1]: 0 is not a port (1-65535)."],
    ["loopback_ports: [-1]", "config.yml, loopback_ports[0]: -1 is not a port (1-65535)."],
    ["loopback_ports: [80.5]", "config.yml, loopback_ports[0]: 80.5 is not a port (1-65535)."],
    ["loopback_ports: [.nan]", "config.yml, loopback_ports[0]: NaN is not a port (1-65535)."],
    ["loopback_ports: [.inf]", "config.yml, loopback_ports[0]: Infinity is not a port (1-65535)."],
    ['loopback_ports: ["80"]', 'config.yml, loopback_ports[0]: "80" is not a port (1-65535).'],
    ["loopback_ports: [~]", "config.yml, loopback_ports[0]: null is not a port (1-65535)."],
    ["loopback_ports: 80", "config.yml, loopback_ports: 80 is not a list."],
    ["default_profiles: base", 'config.yml, default_profiles: "base" is not a list.'],
    ["default_profiles: [1]", "config.yml, default_profiles[0]: 1 is not text."],
    [
      "default_profiles: [base, ../x]",
      'config.yml, default_profiles[1]: "../x" is not a profile name. Write 1-64 of a-z, 0-9, "-" and "_", a letter or digit first.',
    ],
    ["audit: true", "config.yml, audit: true is not a map of keys."],
    ["audit:", "config.yml, audit: null is not a map of keys."],
    ["audit: {enabled: yes}", 'config.yml, audit.enabled: "yes" is not true or false.'],
    ["dns: {timeout_seconds: 0}", "config.yml, dns.timeout_seconds: 0 is not a number of seconds (1-86400)."],
    [
      "dns: {timeout_seconds: 1h}",
      'config.yml, dns.timeout_seconds: "1h" is not a number of seconds (1-86400).',
    ],
    ["- mode", "config.yml, top level: A list is not a map of keys."],
    ["hook", 'config.yml, top level: "hook" is not a map of keys.'],
    ["false", "config.yml, top level: false is not a map of keys."],
    // All that is wrong, in one go.
    [
      "mode: of\ndns: {ttl: 3}\n",
      'config.yml, mode: "of" is not one of hook, auto.\nconfig.yml, dns: "ttl" is not a key. Known keys: tier, timeout_seconds.',
    ],

    // Broken YAML.
    ["mode: hook\nmode: auto\n", "config.yml:2: Map keys must be unique."],
    ["audit: {enabled: true, enabled: false}", "config.yml:1: Map keys must be unique."],
    [
      "mode: hook\nloopback_ports: [80",
      "config.yml:2: Flow sequence in block collection must be sufficiently indented and end with a ].",
    ],
    ["mode: hook\n\tnetwork: pasta\n", "config.yml:2: Tabs are not allowed as indentation."],
    ['# one\nmode: "\\q"', "config.yml:2: Invalid escape sequence \\q."],
    ["mode: hook\nhello\n", "config.yml:2: Implicit map keys need to be followed by map values."],
    [
      "mode: hook\n---\nmode: auto\n",
      "config.yml:2: Source contains multiple documents; please use YAML.parseAllDocuments().",
    ],

    // What a lenient parser would guess.
    ["mode: !secret hook", "config.yml:1: Unresolved tag: !secret."],
    ["mode: !!js/function hook", "config.yml:1: Unresolved tag: tag:yaml.org,2002:js/function."],
    ["%YML 1.2\n---\nmode: hook\n", "config.yml:1: Unknown directive %YML."],
    ["mode: *other", "config.yml: Unresolved alias (the anchor must be set before the alias): other."],
    ["default_profiles: &self [*self]", "config.yml, default_profiles[0]: A list is not text."],
    [
      "a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c]\n",
      "config.yml: Excessive alias count indicates a resource exhaustion attack.",
    ],
  ])("%j", (text, message) => {
    expect(() => parseConfig(text, "config.yml")).toThrow(new ShieldError(message, { code: "usage" }));
  });
});

test("whatever the file holds, it is a complete configuration or a usage error that names the file", () => {
  const key = fc.constantFrom(
    "mode",
    "dns",
    "audit",
    "loopback_ports",
    "default_profiles",
    "network",
    "__proto__",
  );
  const part = fc.oneof(
    key.map((name) => `${name}: `),
    fc.constantFrom(
      "\n",
      "  ",
      "- ",
      "{",
      "}",
      "[",
      "]",
      "&a ",
      "*a",
      "!!str ",
      "|",
      ">",
      '"',
      "'",
      "%",
      "---",
      "\t",
      "443",
      "~",
    ),
  );
  const text = fc.oneof(
    anyText(),
    fc.array(part, { maxLength: 12 }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (content) => {
      try {
        expect(Object.keys(parseConfig(content, "config.yml")).sort()).toEqual(Object.keys(DEFAULTS).sort());
      } catch (error) {
        expect(error).toBeInstanceOf(ShieldError);
        expect(error).toMatchObject({ code: "usage" });
        expect((error as Error).message).toMatch(/^config\.yml/);
      }
    }),
    { numRuns: 300 },
  );
});

test("what is configured is read as it was written", () => {
  const config = fc.record({
    mode: fc.constantFrom("hook", "auto"),
    default_profiles: fc.array(fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,9}$/)),
    loopback_ports: fc.array(fc.integer({ min: 1, max: 65_535 })),
    audit: fc.record({ enabled: fc.boolean() }),
    network: fc.constantFrom("auto", "slirp4netns", "pasta"),
    dns: fc.record({
      tier: fc.constantFrom("auto", "dnsmasq", "dig", "getent"),
      timeout_seconds: fc.integer({ min: 1, max: 86_400 }),
    }),
    allow_public_suffix_wildcards: fc.boolean(),
  });
  fc.assert(
    fc.property(config, (written) => {
      expect(parseConfig(stringify(written), "config.yml")).toEqual(written);
      expect(parseConfig(JSON.stringify(written), "config.yml")).toEqual(written);
    }),
  );
});
