import { BUNDLE_FILE } from "./bundle-file.ts";

/** The name under which a shell waits for a lease of a bundle to end: `sh -c SCRIPT terok-shield-timer BUNDLE …`. */
export const TIMER_NAME = "terok-shield-timer";

const PROGRAM = /(?:^|\/)(dnsmasq|ulogd|sh)$/;

/**
 * Which helper of which bundle a process is, by its command line (/proc/PID/cmdline, split at NUL); undefined when it
 * is none. Whoever may start processes may also give them such a command line.
 */
export function identifyHelper(
  argv: readonly string[],
): { readonly kind: "dnsmasq" | "ulogd" | "timer"; readonly bundle: string } | undefined {
  const [program = "", ...args] = argv;
  switch (PROGRAM.exec(program)?.[1]) {
    case "dnsmasq":
      return withBundle("dnsmasq", findBundle(args, "--conf-file=", BUNDLE_FILE.dnsmasqConf));
    case "ulogd":
      return withBundle("ulogd", findBundle(args, "--configfile=", BUNDLE_FILE.ulogdConf));
    case "sh":
      return args[0] === "-c" && args[2] === TIMER_NAME ? withBundle("timer", args[3]) : undefined;
    default:
      return undefined;
  }
}

function findBundle(args: readonly string[], option: string, file: string): string | undefined {
  const named = args.find((arg) => arg.startsWith(`${option}/`) && arg.endsWith(`/${file}`));
  return named?.slice(option.length, -file.length - 1);
}

function withBundle<Kind>(kind: Kind, bundle: string | undefined) {
  return bundle?.startsWith("/") ? { kind, bundle } : undefined;
}
