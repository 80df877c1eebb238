import { describe, expect, test } from "vitest";
import { type Check, diagnose, type MachineFacts } from "./diagnosis.ts";

const program = (name: string, version?: string) => ({
  path: `/usr/bin/${name}`,
  ...(version === undefined ? {} : { version }),
});

const HOOKS = { scope: "user", directory: "/home/me/hooks.d", isStale: false } as const;

/** A machine that lacks nothing. */
const FIT: MachineFacts = {
  distribution: "debian",
  isRoot: false,
  userName: "me",
  node: { path: "/usr/bin/node", version: "20.19.0" },
  programs: {
    podman: program("podman", "5.4.2"),
    crun: program("crun", "1.21"),
    newuidmap: program("newuidmap"),
    nft: program("nft", "1.1.3"),
    nsenter: program("nsenter", "2.41"),
    setpriv: program("setpriv", "2.41"),
    flock: program("flock", "2.41"),
    sed: program("sed"),
    dnsmasq: program("dnsmasq", "2.91"),
    ulogd: program("ulogd", "2.0.8"),
    dig: program("dig"),
    getent: program("getent"),
    slirp4netns: program("slirp4netns", "1.2.1"),
    pasta: program("pasta"),
  },
  podman: { kind: "works", runtime: program("crun", "1.21"), cgroupVersion: "v2" },
  subordinateIds: { users: 65_536, groups: 65_536 },
  kernel: { kind: "passed" },
  tun: "usable",
  dnsmasq: { version: [2, 91], options: new Set(["nftset", "conntrack"]) },
  confinement: "none",
  ulogdPlugins: "/usr/lib/ulogd",
  stateDirectory: "/home/me/.local/state/terok/shield",
  hooks: [HOOKS],
  isLingering: true,
  outdated: [],
  leftOver: { containers: [], helpers: 0 },
};

function without(...names: (keyof MachineFacts["programs"])[]): MachineFacts["programs"] {
  return Object.fromEntries(
    Object.entries(FIT.programs).filter(([name]) => !names.some((gone) => gone === name)),
  );
}

/** What is not as it should be. */
function complaints(changes: Partial<MachineFacts>): Check[] {
  return diagnose({ ...FIT, ...changes }).filter(({ verdict }) => verdict !== "ok");
}

test("a machine that lacks nothing has a line for everything, and no complaint", () => {
  const checks = diagnose(FIT);
  expect(checks.map(({ name, verdict, found }) => `${verdict} ${name}: ${found}`)).toEqual([
    "ok node: 20.19.0, /usr/bin/node",
    "ok podman: 5.4.2, /usr/bin/podman",
    "ok runtime: 1.21, /usr/bin/crun",
    "ok cgroups: cgroup v2",
    "ok ids: 65536 user ids, 65536 group ids",
    "ok nft: 1.1.3, /usr/bin/nft",
    "ok kernel: takes the shield's rules and lists them as they are",
    "ok nsenter: 2.41, /usr/bin/nsenter",
    "ok setpriv: 2.41, /usr/bin/setpriv",
    "ok flock: 2.41, /usr/bin/flock",
    "ok sed: /usr/bin/sed",
    "ok network: pasta /usr/bin/pasta",
    "ok tun: /dev/net/tun",
    "ok dnsmasq: 2.91, /usr/bin/dnsmasq",
    "ok ulogd: 2.0.8, /usr/bin/ulogd, JSON plugin in /usr/lib/ulogd",
    "ok state: /home/me/.local/state/terok/shield",
    "ok hooks: set up with --user",
    "ok left-over: nothing",
  ]);
  expect(complaints({})).toEqual([]);
});

describe("what stops every start is an error, with what mends it", () => {
  test.each<[string, Partial<MachineFacts>, Partial<Check>]>([
    ["an old node", { node: { path: "/n", version: "18.20.1" } }, { name: "node", found: "18.20.1, /n" }],
    [
      "no podman",
      { programs: without("podman", "pasta"), podman: { kind: "absent" } },
      { name: "podman", found: "not installed", mend: "sudo apt-get install podman" },
    ],
    [
      "a podman that does not work",
      { podman: { kind: "broken", reason: 'podman failed (exit 125): "no"' } },
      {
        name: "podman",
        found: '5.4.2, /usr/bin/podman: podman failed (exit 125): "no"',
        mend: "podman info",
      },
    ],
    [
      "no runtime",
      { programs: without("crun", "runc"), podman: { kind: "works" } },
      { name: "runtime", mend: "sudo apt-get install crun" },
    ],
    ["no nft", { programs: without("nft") }, { name: "nft", mend: "sudo apt-get install nftables" }],
    [
      "a kernel that does not take the rules",
      { kernel: { kind: "failed", reason: "no nf_tables" } },
      {
        name: "kernel",
        found: "no nf_tables",
        mend: "sudo modprobe -a nf_tables nft_ct nft_log nft_limit nft_reject_inet nfnetlink_log",
      },
    ],
    [
      "no nsenter",
      { programs: without("nsenter") },
      { name: "nsenter", mend: "sudo apt-get install util-linux" },
    ],
    [
      "no setpriv",
      { programs: without("setpriv") },
      { name: "setpriv", mend: "sudo apt-get install util-linux" },
    ],
    ["no flock", { programs: without("flock") }, { name: "flock", mend: "sudo apt-get install util-linux" }],
    ["no sed", { programs: without("sed") }, { name: "sed", mend: "sudo apt-get install sed" }],
    [
      "no network for podman 5",
      { programs: without("pasta", "slirp4netns") },
      { name: "network", found: "no pasta and no slirp4netns", mend: "sudo apt-get install passt" },
    ],
    [
      "no slirp4netns for podman 4, whatever else there is",
      { programs: { ...without("slirp4netns"), podman: program("podman", "4.3.1") } },
      { name: "network", found: "no slirp4netns", mend: "sudo apt-get install slirp4netns" },
    ],
    ["no tun", { tun: "missing" }, { name: "tun", mend: "sudo modprobe tun" }],
    ["a tun for others only", { tun: "forbidden" }, { name: "tun", mend: "sudo chmod 666 /dev/net/tun" }],
    [
      "no ids to give",
      { subordinateIds: { users: 65_536, groups: 0 } },
      {
        name: "ids",
        found: "65536 user ids, 0 group ids",
        mend: "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 me && podman system migrate",
      },
    ],
    [
      "nothing that gives ids",
      { programs: without("newuidmap") },
      { name: "newuidmap", mend: "sudo apt-get install uidmap" },
    ],
    [
      "a dnsmasq that AppArmor confines",
      { dnsmasqFault: "Permission denied", confinement: "apparmor" },
      {
        name: "confinement",
        found: "dnsmasq cannot read its bundle: Permission denied",
        mend: "echo 'owner /home/me/.local/state/terok/shield/** rw,' | sudo tee -a /etc/apparmor.d/local/usr.sbin.dnsmasq && sudo apparmor_parser -r /etc/apparmor.d/usr.sbin.dnsmasq",
      },
    ],
    [
      "a dnsmasq that SELinux confines",
      { dnsmasqFault: "Permission denied", confinement: "selinux" },
      {
        name: "confinement",
        mend: "sudo ausearch -m avc -c dnsmasq | audit2allow -M terok-shield && sudo semodule -i terok-shield.pp",
      },
    ],
    [
      "no resolver at all",
      { programs: without("dnsmasq", "dig", "getent"), dnsmasq: undefined },
      { name: "dnsmasq", found: "not installed", mend: "sudo apt-get install dnsmasq-base" },
    ],
    [
      "a state directory of others",
      { stateDirectoryFault: "it belongs to another user" },
      { name: "state", found: "it belongs to another user" },
    ],
    [
      "installed hooks that name a node which has moved",
      { hooks: [{ ...HOOKS, missing: "/opt/node/bin/node" }] },
      {
        name: "hooks",
        found: "those of --user run /opt/node/bin/node, which is gone",
        mend: "terok-shield setup",
      },
    ],
    [
      "installed hooks that podman does not read",
      { hooks: [{ ...HOOKS, unreadBy: "/home/me/.config/containers/containers.conf.d/zz.conf" }] },
      {
        name: "hooks",
        found:
          "podman does not read those of --user: /home/me/.config/containers/containers.conf.d/zz.conf has the last word on hooks_dir",
        mend: 'add "/home/me/hooks.d" to hooks_dir in /home/me/.config/containers/containers.conf.d/zz.conf',
      },
    ],
  ])("%s", (_, changes, check) => {
    expect(complaints(changes as Partial<MachineFacts>)).toEqual([
      {
        verdict: "error",
        cost: expect.any(String),
        mend: expect.any(String),
        found: expect.any(String),
        ...check,
      },
    ]);
  });
});

describe("what the shield can do without is a warning, with what it costs", () => {
  const slow = "names are resolved once before the start: they follow no change, and wildcards are refused";
  test.each<[string, Partial<MachineFacts>, Partial<Check>]>([
    [
      "root",
      { isRoot: true },
      { name: "user", mend: "run terok-shield doctor as the user who runs the containers" },
    ],
    [
      "a podman older than any that was tested",
      { programs: { ...FIT.programs, podman: program("podman", "4.2.9") } },
      { name: "podman", found: "4.2.9, /usr/bin/podman" },
    ],
    [
      "another runtime",
      { podman: { kind: "works", runtime: program("runsc", "1") } },
      { name: "runtime", found: "1, /usr/bin/runsc" },
    ],
    ["old control groups", { podman: { kind: "works", cgroupVersion: "v1" } }, { name: "cgroups" }],
    [
      "a kernel that could not be tried",
      { kernel: { kind: "unknown", reason: "podman does not work" } },
      { name: "kernel", found: "not tried: podman does not work" },
    ],
    [
      "no dnsmasq",
      { programs: without("dnsmasq"), dnsmasq: undefined },
      { name: "dnsmasq", found: "not installed", cost: slow, mend: "sudo apt-get install dnsmasq-base" },
    ],
    [
      "an old dnsmasq",
      { dnsmasq: { version: [2, 80], options: new Set(["nftset", "conntrack"]) } },
      { name: "dnsmasq", found: "2.80 is older than 2.87", cost: slow },
    ],
    [
      "a dnsmasq without an option",
      { dnsmasq: { version: [2, 90], options: new Set(["conntrack"]) } },
      { name: "dnsmasq", found: "2.90 was built without nftset", cost: slow },
    ],
    [
      "no ulogd",
      { programs: without("ulogd") },
      {
        name: "ulogd",
        found: "not installed",
        cost: "refused packets are counted but not listed",
        mend: "sudo apt-get install ulogd2 ulogd2-json",
      },
    ],
    [
      "a ulogd without its plugin",
      { ulogdPlugins: undefined },
      {
        name: "ulogd",
        found: "2.0.8, /usr/bin/ulogd, without its JSON plugin",
        mend: "sudo apt-get install ulogd2-json",
      },
    ],
    ["no setup", { hooks: [] }, { name: "hooks", found: "not set up", mend: "terok-shield setup" }],
    [
      "installed hooks of another version",
      { hooks: [{ ...HOOKS, scope: "system", isStale: true }] },
      { name: "hooks", mend: "sudo terok-shield setup --system" },
    ],
    [
      "no services without a login, once hooks are set up",
      { isLingering: false },
      { name: "reboot", mend: "loginctl enable-linger && systemctl --user enable podman-restart.service" },
    ],
    [
      "a bundle of another version",
      { outdated: ["web"] },
      { name: "bundle", found: "another version prepared web", mend: "terok-shield start web" },
    ],
    [
      "what is left over",
      { leftOver: { containers: ["a", "b"], helpers: 3 } },
      {
        name: "left-over",
        found: "bundles without a container: a b; processes without a container: 3",
        mend: "terok-shield prune",
      },
    ],
  ])("%s", (_, changes, check) => {
    expect(complaints(changes)).toEqual([
      {
        verdict: "warning",
        cost: expect.any(String),
        mend: expect.any(String),
        found: expect.any(String),
        ...check,
      },
    ]);
  });
});

test("where hooks are not set up, lingering does not matter", () => {
  expect(complaints({ hooks: [], isLingering: false }).map(({ name }) => name)).toEqual(["hooks"]);
});

test.each([
  ["debian", "sudo apt-get install dnsmasq-base"],
  ["fedora", "sudo dnf install dnsmasq"],
  ["other", "install dnsmasq-base (so Debian calls it)"],
] as const)("on %s, what mends a missing program is: %s", (distribution, mend) => {
  expect(complaints({ distribution, programs: without("dnsmasq"), dnsmasq: undefined })[0]?.mend).toBe(mend);
});

test("a machine with nothing is judged, too", () => {
  const checks = diagnose({
    ...FIT,
    programs: {},
    podman: { kind: "absent" },
    subordinateIds: { users: 0, groups: 0 },
    kernel: { kind: "unknown", reason: "nft is missing" },
    tun: "missing",
    dnsmasq: undefined,
    ulogdPlugins: undefined,
    hooks: [],
    isLingering: undefined,
    leftOver: undefined,
  });
  expect(checks.filter(({ verdict }) => verdict === "error").map(({ name }) => name)).toEqual([
    ..."podman runtime ids nft nsenter setpriv flock sed network tun dnsmasq".split(" "),
  ]);
  for (const { verdict, cost, mend } of checks) {
    if (verdict !== "ok") expect([cost, mend]).toEqual([expect.any(String), expect.any(String)]);
  }
});
