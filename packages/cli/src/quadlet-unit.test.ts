import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../testing/any-text.ts";
import { makeTemporaryDirectory, writeFiles } from "../testing/temporary-directory.ts";
import { renderPodmanOptions } from "./podman-options.ts";
import { renderQuadletUnit } from "./quadlet-unit.ts";
import { planNetwork } from "./rootless-network.ts";

const BUNDLE = "/home/me/.local/state/terok/shield/containers/web";
/** What none of our options holds today, and a unit file or a command line of systemd would read otherwise. */
const HOSTILE = [
  "--a=two words",
  "--a= at its ends ",
  '--a="quoted","twice"',
  "--a='single'",
  "--a=back\\slash\\",
  "--a=%n 100% %%",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: systemd would expand it
  "--a=$HOME ${HOME} $$",
  "--a=line\n[Service]\nExecStartPre=/bin/false\n\\",
  "--a=\ttab\r\u0001\u007f\u0085\u2028",
  "--a=;",
  "--a=#",
  "--a=ä€😀",
  "--a=",
  "--",
];

test("the unit of a container", async () => {
  const podmanOptions = renderPodmanOptions({
    container: "web",
    stateDirectory: BUNDLE,
    hooksDirectories: ["/usr/share/containers/oci/hooks.d", `${BUNDLE}/hooks`],
    resolvConf: `${BUNDLE}/resolv.conf`,
    network: planNetwork("slirp4netns", [5432, 6379]),
    profiles: ["base", "mine"],
    loopbackPorts: [5432, 6379],
    auditEnabled: true,
    tier: "dnsmasq",
    podmanMajor: 4,
    hasHostsFileOption: false,
    hostsFile: undefined,
    resolved: new Map(),
  });
  await expect(renderQuadletUnit({ container: "web", podmanOptions })).toMatchFileSnapshot(
    "../golden/web.container",
  );
});

const OTHER_LINES = renderQuadletUnit({ container: "web", podmanOptions: [] })
  .split("\n")
  .filter((line) => line !== "");

test("systemd reads each option as it is, and nothing else in it", () => {
  const anything = anyText().filter((text) => !text.includes("\0"));
  fc.assert(
    fc.property(fc.array(fc.oneof(anything, fc.constantFrom(...HOSTILE))), (podmanOptions) => {
      const unit = renderQuadletUnit({ container: "web", podmanOptions });
      const lines = unit.split("\n");
      const args = lines.filter((line) => line.startsWith("PodmanArgs="));
      expect(args.flatMap((line) => readCommandLine(line.slice("PodmanArgs=".length)))).toEqual(
        podmanOptions,
      );
      expect(lines.filter((line) => line !== "" && !args.includes(line))).toEqual(OTHER_LINES);
    }),
  );
});

const QUADLET = [process.env.QUADLET ?? "", "/usr/libexec/podman/quadlet", "/usr/lib/podman/quadlet"].find(
  (path) => path !== "" && existsSync(path),
);

// The reason to skip is that there is no Quadlet to ask: podman has it from 4.4 on.
describe.skipIf(QUADLET === undefined)("the installed Quadlet", () => {
  test("makes a service of it that gives podman each option as it is", () => {
    const unit = renderQuadletUnit({ container: "web", podmanOptions: ["--name=web", ...HOSTILE] });
    const directory = makeTemporaryDirectory();
    writeFiles(directory, { "web.container": unit });
    const { stdout } = spawnSync(QUADLET ?? "", ["-dryrun", "-user", "-no-kmsg-log"], {
      encoding: "utf8",
      env: { QUADLET_UNIT_DIRS: directory },
    });
    const started = stdout.split("\n").filter((line) => line.startsWith("ExecStart"));
    expect(started).toHaveLength(1);
    const words = readCommandLine(started[0]?.slice("ExecStart=".length) ?? "");
    expect(words.slice(0, 4)).toEqual([words[0], "run", "--name", "web"]);
    expect(words.slice(-1 - HOSTILE.length)).toEqual([...HOSTILE, "IMAGE"]);
  });
});

/** The words of a command line in a unit file, as systemd.service(5) and systemd.syntax(7) have it. */
function readCommandLine(text: string): string[] {
  const words = text.match(/(?:"(?:[^"\\]|\\.)*"|[^\s"])+/gu) ?? [];
  return words.map((word) =>
    word
      .replace(/^"(.*)"$/s, "$1")
      .replace(/%%?|\$\$?|\\(?:u([\da-f]{4})|x([\da-f]{2})|(.))/gu, (whole, long, short, one) => {
        const code = long ?? short;
        if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16));
        if (one !== undefined) return ESCAPES[one] ?? one;
        return whole.slice(1) || "EXPANDED";
      }),
  );
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  a: "\u0007",
  b: "\b",
  f: "\f",
  v: "\v",
  s: " ",
};
