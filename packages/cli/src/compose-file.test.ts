import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { anyText } from "../testing/any-text.ts";
import { renderComposeFile } from "./compose-file.ts";
import { renderPodmanOptions } from "./podman-options.ts";
import { planNetwork } from "./rootless-network.ts";

const BUNDLE = "/home/me/.local/state/terok/shield/containers/web";

// biome-ignore lint/suspicious/noTemplateCurlyInString: Compose would expand it
const VARIABLES = "$A ${A:-b} $$";

test("the file of a container", async () => {
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
  await expect(renderComposeFile({ container: "web", podmanOptions })).toMatchFileSnapshot(
    "../golden/compose.yaml",
  );
});

describe("every option but the hooks is in the service", () => {
  const keys = [
    ["sysctl", "sysctls"],
    ["volume", "volumes"],
    ["cap-drop", "cap_drop"],
    ["add-host", "extra_hosts"],
    ["annotation", "annotations"],
  ] as const;

  test.each(keys)("--%s in %s, whatever it holds", (option, key) => {
    const hostile = fc.oneof(
      anyText(),
      fc.constantFrom(
        '"a,b"',
        "yes",
        "0",
        "~",
        "# x",
        "a: b",
        VARIABLES,
        "'",
        "\n- x",
        "&a",
        "*a",
        "a,b",
        "",
      ),
    );
    fc.assert(
      fc.property(fc.array(hostile, { minLength: 1 }), (values) => {
        const podmanOptions = ["--name=web", ...values.map((value) => `--${option}=${value}`)];
        const { services } = parse(renderComposeFile({ container: "web", podmanOptions }));
        expect(services.web[key].map(expandVariables)).toEqual(values);
      }),
    );
  });

  test("an option that Compose has no key for is an error, and is not left out", () => {
    const render = () => renderComposeFile({ container: "web", podmanOptions: ["--userns=auto"] });
    expect(render).toThrow("A Compose file has no key for --userns=auto.");
  });
});

test.each(["web", "1", "0x1f", "1e3", "yes", "null", "a.b-c_d"])(
  "a container named %s is one service",
  (container) => {
    const podmanOptions = [`--name=${container}`, "--network=pasta"];
    expect(parse(renderComposeFile({ container, podmanOptions }))).toEqual({
      services: { [container]: { image: "IMAGE", container_name: container, network_mode: "pasta" } },
    });
  },
);

/** As Compose does (compose-spec, 12-interpolation): no variable may be left. */
function expandVariables(text: string): string {
  expect(text.replaceAll("$$", "")).not.toContain("$");
  return text.replaceAll("$$", "$");
}
