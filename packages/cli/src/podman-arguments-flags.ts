/** A flag that `podman run` takes: on its own, or followed by a value. */
export interface PodmanFlag {
  readonly name: string;
  readonly takes: "nothing" | "value";
}

/** Finds a flag of `podman run`, hidden ones included, by its name or an alias of it. */
export function findLongFlag(name: string): PodmanFlag | undefined {
  return FLAGS.get(ALIASES.get(name) ?? name);
}

/** Finds a flag of `podman run` by its one letter. */
export function findShortFlag(letter: string): PodmanFlag | undefined {
  const name = SHORTHANDS.get(letter);
  return name === undefined ? undefined : FLAGS.get(name);
}

/** Whether `podman` takes the flag before its command alone, so that `podman run` does not know it. */
export function isPodmanOwnFlag(name: string): boolean {
  return PODMAN_OWN_FLAGS.has(name);
}

// Podman 4.3 to 6.0; a flag that the installed podman does not know yet, it refuses itself.
const BOOLEAN_FLAGS = `
  detach disable-content-trust env-host help http-proxy init interactive no-healthcheck no-hostname no-hosts
  oom-kill-disable passwd privileged publish-all quiet read-only read-only-tmpfs replace rm rmi rootfs sig-proxy
  tls-verify tty unsetenv-all
  syslog trace transient-store`;

const VALUE_FLAGS = `
  add-host annotation arch attach authfile blkio-weight blkio-weight-device cap-add cap-drop cert-dir cgroup-conf
  cgroup-parent cgroupns cgroups chrootdirs cidfile conmon-pidfile cpu-period cpu-quota cpu-rt-period cpu-rt-runtime
  cpu-shares cpus cpuset-cpus cpuset-mems creds decryption-key detach-keys device device-cgroup-rule device-read-bps
  device-read-iops device-write-bps device-write-iops dns dns-option dns-search entrypoint env env-file env-merge
  expose gidmap gpus group-add group-entry health-cmd health-interval health-log-destination health-max-log-count
  health-max-log-size health-on-failure health-retries health-start-period health-startup-cmd health-startup-interval
  health-startup-retries health-startup-success health-startup-timeout health-timeout hostname hosts-file hostuser
  image-volume init-path ip ip6 ipc kernel-memory label label-file log-driver log-opt mac-address memory
  memory-reservation memory-swap memory-swappiness mount name network network-alias oom-score-adj os passwd-entry
  personality pid pidfile pids-limit platform pod pod-id-file preserve-fd preserve-fds publish pull rdt-class requires
  restart retry retry-delay sdnotify seccomp-policy secret security-opt shm-size shm-size-systemd signature-policy
  stop-signal stop-timeout subgidname subuidname sysctl systemd timeout tmpfs tz uidmap ulimit umask unsetenv user
  userns uts variant volume volumes-from workdir
  cdi-spec-dir cgroup-manager conmon cpu-profile default-mounts-file events-backend hooks-dir imagestore log-level
  max-workers memory-profile namespace network-backend network-cmd-path network-config-dir pull-option registries-conf
  root runroot runtime runtime-flag storage-driver storage-opt tmpdir volumepath`;

const FLAGS: ReadonlyMap<string, PodmanFlag> = new Map<string, PodmanFlag>([
  ...listWords(BOOLEAN_FLAGS).map((name) => [name, { name, takes: "nothing" }] as const),
  ...listWords(VALUE_FLAGS).map((name) => [name, { name, takes: "value" }] as const),
]);

const ALIASES: ReadonlyMap<string, string> = new Map([
  ["auth-file", "authfile"],
  ["cni-config-dir", "network-config-dir"],
  ["dns-opt", "dns-option"],
  ["healthcheck-command", "health-cmd"],
  ["healthcheck-interval", "health-interval"],
  ["healthcheck-retries", "health-retries"],
  ["healthcheck-start-period", "health-start-period"],
  ["healthcheck-timeout", "health-timeout"],
  ["net", "network"],
  ["ns", "namespace"],
  ["override-arch", "arch"],
  ["override-os", "os"],
  ["override-variant", "variant"],
]);

const SHORTHANDS: ReadonlyMap<string, string> = new Map([
  ["a", "attach"],
  ["c", "cpu-shares"],
  ["d", "detach"],
  ["e", "env"],
  ["h", "hostname"],
  ["i", "interactive"],
  ["l", "label"],
  ["m", "memory"],
  ["p", "publish"],
  ["P", "publish-all"],
  ["q", "quiet"],
  ["t", "tty"],
  ["u", "user"],
  ["v", "volume"],
  ["w", "workdir"],
]);

const PODMAN_OWN_FLAGS: ReadonlySet<string> = new Set(
  listWords(
    "config connection context debug host identity module noout out remote ssh tls-ca tls-cert tls-details tls-key url",
  ),
);

function listWords(text: string): string[] {
  return text.trim().split(/\s+/);
}
