import { describe, expect, test } from "vitest";
import {
  namesOneByOne,
  type PodmanOptionsRequest,
  renderPodmanOptions,
  yieldHosts,
} from "./podman-options.ts";
import { planNetwork } from "./rootless-network.ts";

const BUNDLE = "/home/me/.local/state/terok/shield/containers/web";

const REQUEST: PodmanOptionsRequest = {
  container: "web",
  stateDirectory: BUNDLE,
  hooksDirectories: [`${BUNDLE}/hooks`],
  resolvConf: `${BUNDLE}/resolv.conf`,
  network: planNetwork("slirp4netns", []),
  profiles: ["dev-standard"],
  loopbackPorts: [],
  auditEnabled: true,
  tier: "dnsmasq",
  podmanMajor: 4,
  hasHostsFileOption: false,
  hostsFile: undefined,
  resolved: new Map(),
};

test("a container on slirp4netns with its own dnsmasq", () => {
  expect(renderPodmanOptions(REQUEST)).toEqual([
    `--hooks-dir=${BUNDLE}/hooks`,
    "--name=web",
    "--network=slirp4netns:cidr=10.0.2.0/24,enable_ipv6=true,allow_host_loopback=false",
    "--sysctl=net.ipv4.conf.terok-shield-closed.accept_redirects=0",
    `--volume=${BUNDLE}/resolv.conf:/etc/resolv.conf:ro,z`,
    "--cap-drop=NET_ADMIN",
    "--cap-drop=NET_RAW",
    "--cap-drop=SYS_ADMIN",
    "--annotation=terok.shield.profiles=dev-standard",
    "--annotation=terok.shield.name=web",
    `--annotation=terok.shield.state_dir=${BUNDLE}`,
    "--annotation=terok.shield.loopback_ports=",
    "--annotation=terok.shield.version=1",
    "--annotation=terok.shield.audit_enabled=true",
    "--annotation=terok.shield.upstream_dns=10.0.2.3",
    "--annotation=terok.shield.dns_tier=dnsmasq",
  ]);
});

test("a container on pasta in a static tier, beside hooks of the machine", () => {
  const options = renderPodmanOptions({
    ...REQUEST,
    hooksDirectories: ["/usr/share/containers/oci/hooks.d", `${BUNDLE}/hooks`],
    network: planNetwork("pasta", [5432, 6379]),
    profiles: ["base", "mine"],
    loopbackPorts: [5432, 6379],
    auditEnabled: false,
    tier: "dig",
    podmanMajor: 5,
    hasHostsFileOption: true,
    hostsFile: `${BUNDLE}/hosts`,
  });
  expect(options).toEqual([
    "--hooks-dir=/usr/share/containers/oci/hooks.d",
    `--hooks-dir=${BUNDLE}/hooks`,
    "--name=web",
    "--network=pasta:--dns-forward,169.254.1.1,--no-map-gw,-T,none,-U,none,--map-host-loopback,169.254.1.2",
    "--sysctl=net.ipv4.conf.terok-shield-closed.accept_redirects=0",
    `--volume=${BUNDLE}/resolv.conf:/etc/resolv.conf:ro,z`,
    "--cap-drop=NET_ADMIN",
    "--cap-drop=NET_RAW",
    "--cap-drop=SYS_ADMIN",
    "--add-host=host.containers.internal:169.254.1.2",
    `--hosts-file=${BUNDLE}/hosts`,
    "--annotation=terok.shield.profiles=base,mine",
    "--annotation=terok.shield.name=web",
    `--annotation=terok.shield.state_dir=${BUNDLE}`,
    "--annotation=terok.shield.loopback_ports=5432,6379",
    "--annotation=terok.shield.version=1",
    "--annotation=terok.shield.audit_enabled=false",
    "--annotation=terok.shield.upstream_dns=",
    "--annotation=terok.shield.dns_tier=dig",
  ]);
});

describe("annotations with a comma", () => {
  test.each([
    { podmanMajor: 3, option: '--annotation="terok.shield.profiles=base,mine"' },
    { podmanMajor: 4, option: '--annotation="terok.shield.profiles=base,mine"' },
    { podmanMajor: 5, option: "--annotation=terok.shield.profiles=base,mine" },
  ])("podman $podmanMajor gets $option", ({ podmanMajor, option }) => {
    expect(renderPodmanOptions({ ...REQUEST, profiles: ["base", "mine"], podmanMajor })).toContain(option);
  });
});

test("no option holds what a shell would split or expand", () => {
  const combinations = (["slirp4netns", "pasta"] as const).flatMap((kind) =>
    [3, 4, 5].flatMap((podmanMajor) =>
      renderPodmanOptions({
        ...REQUEST,
        network: planNetwork(kind, [80, 81]),
        profiles: ["base", "mine"],
        loopbackPorts: [80, 81],
        podmanMajor,
      }),
    ),
  );
  expect(combinations.filter((option) => !/^[\w.,:/="-]+$/.test(option))).toEqual([]);
});

describe("the names of a static tier", () => {
  const resolved = new Map([["good.test", ["198.18.0.10", "2001:2::10"]]]);
  const names = ["--add-host=good.test:198.18.0.10", "--add-host=good.test:2001:2::10"];
  const hostsFile = `${BUNDLE}/hosts`;

  test.each<[string, Pick<PodmanOptionsRequest, "podmanMajor" | "hasHostsFileOption">, string[]]>([
    ["podman 4 is told by the hook", { podmanMajor: 4, hasHostsFileOption: false }, []],
    [
      "podman 5.2 is told when it creates the container",
      { podmanMajor: 5, hasHostsFileOption: false },
      names,
    ],
    [
      "podman 5.3 reads at each start",
      { podmanMajor: 5, hasHostsFileOption: true },
      [`--hosts-file=${hostsFile}`],
    ],
  ])("%s", (_, podman, expected) => {
    const options = renderPodmanOptions({ ...REQUEST, tier: "dig", ...podman, hostsFile, resolved });
    expect(options.filter((option) => /^--(add-host|hosts-file)/.test(option))).toEqual(expected);
  });

  test("go one by one where no hosts file is passed on", () => {
    const options = ["--name=web", `--hosts-file=${hostsFile}`, "--cap-drop=NET_RAW"];
    expect(namesOneByOne(options, resolved)).toEqual(["--name=web", ...names, "--cap-drop=NET_RAW"]);
  });
});

test.each([
  { kind: "slirp4netns", loopbackPorts: [5432], hosts: ["host.containers.internal:10.0.2.2"] },
  { kind: "pasta", loopbackPorts: [5432], hosts: ["host.containers.internal:169.254.1.2"] },
  { kind: "slirp4netns", loopbackPorts: [], hosts: [] },
  { kind: "pasta", loopbackPorts: [], hosts: [] },
] as const)(
  "host.containers.internal is the host's loopback on $kind when ports of it are granted: $loopbackPorts",
  ({ kind, loopbackPorts, hosts }) => {
    const network = planNetwork(kind, loopbackPorts);
    const options = renderPodmanOptions({ ...REQUEST, network, loopbackPorts });
    expect(options.filter((option) => option.startsWith("--add-host"))).toEqual(
      hosts.map((host) => `--add-host=${host}`),
    );
  },
);

describe("what the owner says of the hosts file himself", () => {
  const hosts = [
    "--add-host=host.containers.internal:10.0.2.2",
    "--add-host=good.test:2001:2::10",
    "--hosts-file=/hosts",
  ];
  const options = ["--name=web", ...hosts, "--cap-drop=NET_RAW"];

  test.each<[string, string[], boolean, string[]]>([
    ["nothing", [], true, hosts],
    ["a name of ours", ["good.test"], true, hosts.filter((host) => !host.includes("good.test"))],
    ["other names", ["good", "test", "internal"], true, hosts],
    ["that there shall be none", [], false, []],
  ])("%s", (_, hostNames, hasHostsFile, left) => {
    expect(yieldHosts(options, { hostNames, hasHostsFile })).toEqual([
      "--name=web",
      ...left,
      "--cap-drop=NET_RAW",
    ]);
  });
});
