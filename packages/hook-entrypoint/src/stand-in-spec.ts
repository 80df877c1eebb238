/** The specification that podman 4.3.1 writes for a shielded container of a user `me`, without its seccomp list. */

export const CONTAINER_ID = "4a5b6241eb596571d44a7c70c76ca297d76d297fd06ee6866fa703127575119e";
export const BUNDLE = "/home/me/.local/state/terok/shield/containers/web";

const CAPABILITIES = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_NET_BIND_SERVICE",
  "CAP_SETFCAP",
  "CAP_SETGID",
  "CAP_SETPCAP",
  "CAP_SETUID",
  "CAP_SYS_CHROOT",
];
const STORAGE = "/home/me/.local/share/containers/storage";
const RUN_FILES = `/run/user/1000/containers/overlay-containers/${CONTAINER_ID}/userdata`;
const LAYER = "b180e00ef8b8bc7c9aeb3dc7bbeecc7edb39a8d21c18ace62ee9b85be9571b41";

export interface StandInMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

interface StandInNamespace {
  type: string;
  path?: string;
}

/** A new one for each test, to be changed at will. */
export function standInSpec() {
  return {
    ociVersion: "1.0.2-dev",
    process: {
      user: { uid: 0, gid: 0, umask: 18 },
      args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
      cwd: "/",
      capabilities: {
        bounding: [...CAPABILITIES],
        effective: [...CAPABILITIES],
        permitted: [...CAPABILITIES],
      } as Record<string, string[]> | undefined,
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 20000, soft: 20000 }],
    },
    root: { path: `${STORAGE}/overlay/${LAYER}/merged` },
    hostname: "4a5b6241eb59",
    mounts: [
      mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
      mount("/dev", "tmpfs", "tmpfs", "nosuid", "noexec", "strictatime", "mode=755", "size=65536k"),
      mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
      mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666"),
      mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
      mount("/etc/resolv.conf", "bind", `${BUNDLE}/resolv.conf`, "ro", "rprivate", "rbind"),
      mount("/etc/hosts", "bind", `${RUN_FILES}/hosts`, "bind", "rprivate"),
      mount("/run/.containerenv", "bind", `${RUN_FILES}/.containerenv`, "bind", "rprivate"),
      mount("/dev/shm", "bind", `${STORAGE}/overlay-containers/${CONTAINER_ID}/userdata/shm`, "bind"),
      mount("/sys/fs/cgroup", "cgroup", "cgroup", "rprivate", "nosuid", "noexec", "nodev", "ro"),
    ],
    annotations: {
      "io.container.manager": "libpod",
      "io.podman.annotations.privileged": "FALSE",
      "terok.shield.state_dir": BUNDLE,
    } as Record<string, string>,
    linux: {
      sysctl: { "net.ipv4.conf.all.accept_redirects": "0" },
      namespaces: [
        { type: "pid" },
        { type: "network", path: "/run/user/1000/netns/netns-ecb727bd-9e91-5780-a6fc-307439e70d5b" },
        { type: "ipc" },
        { type: "uts" },
        { type: "mount" },
        { type: "cgroup" },
      ] as StandInNamespace[],
      devices: [] as { path: string; type: string; major: number; minor: number }[],
      maskedPaths: ["/proc/acpi", "/proc/kcore", "/sys/firmware"],
      readonlyPaths: ["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
    },
  };
}

export type StandInSpec = ReturnType<typeof standInSpec>;

export function mount(destination: string, type: string, source: string, ...options: string[]): StandInMount {
  return { destination, type, source, options };
}
