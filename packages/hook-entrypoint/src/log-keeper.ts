import { spawn } from "node:child_process";
import { type Bundle, openBundle } from "./bundle.ts";
import { BUNDLE_FILE } from "./contract.ts";
import { findHelpers } from "./helper-process.ts";
import { KEEPER_NAME } from "./identify-helper.ts";
import { ENVIRONMENT, runLimited } from "./run-program.ts";
import { checkIsInside } from "./runtime-record.ts";

/** Well below what a log may have at most, so that this comes first. */
const ROTATED_BYTES = 4 * 1024 * 1024;
const INTERVAL_SECONDS = 10;

/**
 * Renames a log that has grown long, writes down what the counters count when that is something new, and ends its fellows
 * and itself when the container is gone: runc runs no poststop hook for a container that failed to start after its
 * createRuntime hook, and nobody does when podman's monitor was killed. Everything here
 * but `nft`, `stat`, `date` and `sleep` is the shell's own, since it runs as long as the container. `-ef` compares files:
 * a pid comes round again, but hardly as a process of the same program, and to that the signal says the same.
 */
export const KEEPER_SCRIPT = `
bundle=$1 container=$2 nft=$3 table=$4 dnsmasq=$5 ulogd=$6 isAudited=$7 bytes=$8 interval=$9
cd "$bundle" || exit 1
umask 077
trap "finish=1" TERM
trap "" HUP INT XFSZ
echo $$ > ${BUNDLE_FILE.keeperPid}
finish= last=

# signal NAME PID_FILE PROGRAM: where that program runs
signal() {
  pid=
  [ -r "$2" ] && read -r pid < "$2"
  [ -n "$pid" ] && [ "/proc/$pid/exe" -ef "$3" ] && kill -"$1" "$pid"
}

count() {
  [ "$isAudited" ] || return 0
  now=$("$nft" --terse list ruleset | while read -r a b c d _; do
    case "$a $b $c" in
      "table $table") ours=1 ;;
      table*) ours= ;;
      "counter "*" {") [ "$ours" ] && printf '"%s":' "$b" ;;
      "packets "*" bytes") [ "$ours" ] && printf '[%s,%s],' "$b" "$d" ;;
    esac
  done)
  now=\${now%,}
  [ -n "$now" ] && [ "$now" != "$last" ] || return 0
  before=\${last:+,\\"before\\":{$last\\}}
  # A line that found no room was cut off without its end.
  printf '\\n{"ts":"%s","counters":{%s}%s}\\n' "$(date -u +%FT%T.%3NZ)" "$now" "$before" >> ${BUNDLE_FILE.packetLog} && last=$now
}

rotate() {
  stat --format="%s %n" ${BUNDLE_FILE.dnsmasqLog} ${BUNDLE_FILE.packetLog} | while read -r size log; do
    [ "$size" -gt "$bytes" ] && mv "$log" "$log.old"
  done
  [ -e ${BUNDLE_FILE.packetLog} ] || signal HUP ${BUNDLE_FILE.ulogdPid} "$ulogd"
  # Also brings it back to a log that it gave up when the disk was full.
  signal USR2 ${BUNDLE_FILE.dnsmasqPid} "$dnsmasq"
}

count
until [ "$finish" ]; do
  sleep "$interval" &
  wait
  [ "$finish" ] || [ -d "/proc/$container" ] || {
    signal TERM ${BUNDLE_FILE.dnsmasqPid} "$dnsmasq"
    signal TERM ${BUNDLE_FILE.ulogdPid} "$ulogd"
    finish=1
  }
  rotate
  count
done
`;

/**
 * Starts the shell that keeps the container's logs short, in this network namespace. Logs have their bound without it;
 * its failure opens nothing.
 */
export function startLogKeeper({ directory, manifest }: Bundle, containerPid: number): void {
  const { tier } = manifest.dns;
  if (tier !== "dnsmasq" && !manifest.isAudited) return;
  const { nft, dnsmasq = "", ulogd = "" } = manifest.programs;
  const { family, name } = manifest.table;
  const args = [
    ...[directory, String(containerPid), nft, `${family} ${name}`, dnsmasq, ulogd],
    ...[manifest.isAudited ? "1" : "", String(ROTATED_BYTES), String(INTERVAL_SECONDS)],
  ];
  // A session of its own: its group is it and its `sleep` alone.
  const child = spawn("/bin/sh", ["-c", KEEPER_SCRIPT, KEEPER_NAME, ...args], {
    cwd: "/",
    env: ENVIRONMENT,
    stdio: "ignore",
    detached: true,
  });
  child.on("error", () => {});
  child.unref();
}

/** Without ulogd the kernel's counters still count; its failure never opens anything, so it is no reason to refuse. */
export async function startPacketReader(bundle: Bundle): Promise<void> {
  const { ulogd } = bundle.manifest.programs;
  if (ulogd === undefined) return;
  bundle.read("ulogdConf");
  await runLimited(ulogd, [
    "--daemon",
    `--configfile=${bundle.path("ulogdConf")}`,
    `--pidfile=${bundle.path("ulogdPid")}`,
  ]);
}

/**
 * Starts what is missing of that beside a running container, in its network namespace.
 * @throws ShieldRefusal when this is not its network namespace, or ulogd does not start.
 */
export async function reviveLogs(directory: string): Promise<void> {
  const bundle = openBundle(directory);
  const { pid } = checkIsInside(bundle);
  if (findHelpers(directory, ["keeper"]).length === 0) startLogKeeper(bundle, pid);
  if (findHelpers(directory, ["ulogd"]).length === 0) await startPacketReader(bundle);
}
