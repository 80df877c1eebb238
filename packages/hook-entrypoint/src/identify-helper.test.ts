import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { identifyHelper } from "./identify-helper.ts";

const BUNDLE = "/home/me/.local/state/terok/shield/containers/web";

test.each<[string, string[]]>([
  ["dnsmasq", ["dnsmasq", `--conf-file=${BUNDLE}/dnsmasq.conf`]],
  ["dnsmasq", ["/usr/sbin/dnsmasq", "--port=53", `--conf-file=${BUNDLE}/dnsmasq.conf`, ""]],
  ["ulogd", ["/usr/sbin/ulogd", "--daemon", `--configfile=${BUNDLE}/ulogd.conf`, "--pidfile=/x", ""]],
  ["timer", ["sh", "-c", "sleep 9; exec x", "terok-shield-timer", BUNDLE]],
  ["timer", ["/bin/sh", "-c", "sleep 9; exec x", "terok-shield-timer", BUNDLE, "9", "/usr/bin/node", ""]],
  ["timer", ["/usr/bin/sh", "-c", "", "terok-shield-timer", BUNDLE]],
  ["keeper", ["/bin/sh", "-c", "sleep 9", "terok-shield-keeper", BUNDLE, "/usr/sbin/nft", ""]],
])("a %s of the bundle: %j", (kind, argv) => {
  expect(identifyHelper(argv)).toEqual({ kind, bundle: BUNDLE });
});

test.each<[string[]]>([
  [[]],
  [[""]],
  [["dnsmasq"]],
  [["dnsmasq", `${BUNDLE}/dnsmasq.conf`]],
  [["dnsmasq", "--conf-file", `${BUNDLE}/dnsmasq.conf`]],
  [["dnsmasq", `--conf-file=${BUNDLE}/dnsmasq.conf.old`]],
  [["dnsmasq", `--conf-file=${BUNDLE}/ulogd.conf`]],
  [["dnsmasq", `--configfile=${BUNDLE}/ulogd.conf`]],
  [["dnsmasq", "--conf-file=dnsmasq.conf"]],
  [["dnsmasq", `--test-file=${BUNDLE}/dnsmasq.conf`]],
  [["dnsmasq", "--conf-file=/dnsmasq.conf"]],
  [["dnsmasq", "--conf-file=../web/dnsmasq.conf"]],
  [["not-dnsmasq", `--conf-file=${BUNDLE}/dnsmasq.conf`]],
  [["/usr/sbin/dnsmasq/x", `--conf-file=${BUNDLE}/dnsmasq.conf`]],
  [[`dnsmasq --conf-file=${BUNDLE}/dnsmasq.conf`]],
  [["vi", `--conf-file=${BUNDLE}/dnsmasq.conf`]],
  [["ulogd", `--configfile=${BUNDLE}/dnsmasq.conf`]],
  [["sh", `--conf-file=${BUNDLE}/dnsmasq.conf`]],
  [["sh", "-c", "sleep 9", "terok-shield-timer"]],
  [["sh", "-c", "sleep 9", "terok-shield-timer", ""]],
  [["sh", "-c", "sleep 9", "terok-shield-timer", "containers/web"]],
  [["sh", "-c", "sleep 9", "terok-shield-timer2", BUNDLE]],
  [["sh", "-c", "sleep 9", "x", "terok-shield-timer", BUNDLE]],
  [["sh", "-c", "terok-shield-timer", BUNDLE]],
  [["sh", "-c", "sleep 9", "terok-shield-keeper", "containers/web"]],
  [["sh", "script", "terok-shield-keeper", BUNDLE]],
  [["sh", "-x", "sleep 9", "terok-shield-timer", BUNDLE]],
  [["sh", "script", "terok-shield-timer", BUNDLE]],
  [["node", "-c", "sleep 9", "terok-shield-timer", BUNDLE]],
  [["grep", "terok-shield-timer", BUNDLE]],
])("%j is no helper", (argv) => expect(identifyHelper(argv)).toBeUndefined());

test("whatever the command line, it is no helper or one of a bundle with an absolute path", () => {
  const word = fc.oneof(
    anyText(),
    fc.constantFrom(
      "sh",
      "-c",
      "dnsmasq",
      "ulogd",
      "terok-shield-timer",
      "terok-shield-keeper",
      BUNDLE,
      "toString",
    ),
    fc.constantFrom(`--conf-file=${BUNDLE}/dnsmasq.conf`, "--configfile=", "--conf-file=/", "/dnsmasq.conf"),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 5 }), (argv) => {
      expect(identifyHelper(argv)?.bundle ?? "/").toMatch(/^\//);
    }),
    { numRuns: 1000 },
  );
});
