import { BUNDLE_FILE } from "./bundle-file.ts";

/** The name under which a shell waits for a lease of a bundle to end: `sh -c SCRIPT terok-shield-timer BUNDLE …`. */
export const TIMER_NAME = "terok-shield-timer";

/** The same for the shell that keeps a bundle's logs short: `sh -c SCRIPT terok-shield-keeper BUNDLE …`. */
export const KEEPER_NAME = "terok-shield-keeper";

/** Resolver, packet reader, timer of a lease, keeper of the logs. */
export type HelperKind = "dnsmasq" | "ulogd" | "timer" | "keeper";

const PROGRAM = /(?:^|\/)(dnsmasq|ulogd|sh)$/;

/**
 * Which helper of which bundle a process is, by its command line (/proc/PID/cmdline, split at NUL); undefined when it
 * is none. Whoever may start processes may also give them such a command line.
 */
export function identifyHelper(
  argv: readonly string[],
): { readonly kind: HelperKind; readonly bundle: string } | undefined {
  const [program = "", ...args] = argv;
  switch (PROGRAM.exec(program)?.[1]) {
    case "dnsmasq":
      return withBundle("dnsmasq", findBundle(args, "--conf-file=", BUNDLE_FILE.dnsmasqConf));
    case "ulogd":
      return withBundle("ulogd", findBundle(args, "--configfile=", BUNDLE_FILE.ulogdConf));
    case "sh":
      return identifyShell(args);
    default:
      return undefined;
  }
}

function identifyShell([option, , name, bundle]: readonly string[]) {
  if (option !== "-c") return undefined;
  if (name === TIMER_NAME) return withBundle("timer", bundle);
  return name === KEEPER_NAME ? withBundle("keeper", bundle) : undefined;
}

function findBundle(args: readonly string[], option: string, file: string): string | undefined {
  const named = args.find((arg) => arg.startsWith(`${option}/`) && arg.endsWith(`/${file}`));
  return named?.slice(option.length, -file.length - 1);
}

function withBundle(kind: HelperKind, bundle: string | undefined) {
  return bundle?.startsWith("/") ? { kind, bundle } : undefined;
}
