import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import packageJson from "../package.json" with { type: "json" };
import type { ModeReport } from "./commands/change-mode.ts";
import type { Prepared } from "./commands/prepare.ts";
import { parseDuration } from "./duration.ts";
import { addEventCommands, onlyOption } from "./event-commands.ts";
import { type Host, openHost } from "./host/host.ts";
import { addMaintenanceCommands } from "./maintenance-commands.ts";
import type { PrepareFormat } from "./prepare-format.ts";
import { isInputError, renderError, renderUsageError } from "./print/error.ts";
import { EXIT, ShieldError } from "./shield-error.ts";
import type { LogsOptions } from "./show-logs.ts";

const EXAMPLES = `
Examples:
  terok-shield run my-container -- alpine:latest sh
  terok-shield run my-container --profiles dev-standard my-project -- -it -v .:/src alpine:latest sh
  podman run $(terok-shield prepare my-container) alpine:latest
  terok-shield allow my-container example.com '*.example.org:443' --for 30m
  terok-shield deny my-container 198.51.100.0/24
  terok-shield status my-container
  terok-shield watch my-container
  terok-shield logs --container my-container -n 10

Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 a container is not protected (status).
run, start and restart exit as podman does, run with the container's own code.
`;

// A reader that has seen enough closes the pipe: no fault of ours.
process.stdout.on("error", (cause: NodeJS.ErrnoException) => {
  if (cause.code === "EPIPE") process.exit(EXIT.done);
  throw cause;
});

const program = createProgram();
program.parseAsync().catch((cause: unknown) => {
  process.exitCode = report(cause);
});

function createProgram(): Command {
  const root = new Command("terok-shield")
    .description("A default-deny egress firewall for rootless Podman containers.")
    .version(packageJson.version, "--version", "print the version")
    .option("--state-dir <directory>", "where containers' bundles are kept")
    .option("--debug", "print stacks of errors")
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(renderUsageError(text)) })
    .addHelpText("after", EXAMPLES);
  root
    .command("run")
    .description("run a new container behind its shield; what follows -- goes to podman run")
    .argument("<container>", "its name")
    .argument("<podman...>", "podman run's options, the image, its command, after --")
    .option("--profiles <names...>", "allowlists, merged in this order")
    .option("--trust-mount <paths...>", "mounts to accept although they hand over the host")
    .usage("<container> [--profiles names...] -- [podman options] IMAGE [command...]")
    .action(async (container: string, podmanArguments: string[], options: RunOptions) => {
      const { run } = await import("./commands/run.ts");
      process.exitCode = await run(host(), {
        container,
        podmanArguments,
        ...profilesOf(options),
        trustedMounts: options.trustMount ?? [],
        onPrepared: warn,
      });
    });
  root
    .command("prepare")
    .description(
      "write a container's bundle and print podman's options: podman run $(terok-shield prepare NAME) IMAGE",
    )
    .argument("<container>", "its name")
    .option("--profiles <names...>", "allowlists, merged in this order")
    .option("--publish <ports...>", "container ports that will be published, as PORT[/udp]", parsePublished)
    .option("--trust-mount <paths...>", "mounts to accept although they hand over the host")
    .addOption(
      new Option("--format <format>", "podman's options as they are, or a file with them for what starts it")
        .choices(["shell", "json", "quadlet", "compose"] satisfies PrepareFormat[])
        .default("shell"),
    )
    .addOption(new Option("--json", "as --format json").conflicts("format"))
    .action(async (container: string, options: PrepareOptions) => {
      const [{ prepare }, { resolveTrusted }, { renderPrepared }] = await Promise.all([
        import("./commands/prepare.ts"),
        import("./commands/run.ts"),
        import("./prepare-format.ts"),
      ]);
      const prepared = await prepare(host(), {
        container,
        ...profilesOf(options),
        published: options.publish ?? [],
        trustedMounts: resolveTrusted(options.trustMount ?? []),
      });
      const format = options.json === true ? "json" : options.format;
      if (format === "quadlet" || format === "compose") {
        const { keepBundle } = await import("./host/bundle-use.ts");
        await keepBundle(host(), prepared.container);
      }
      if (format !== "json") warn(prepared);
      print(renderPrepared(prepared, format));
    });
  for (const verb of ["start", "restart"] as const) {
    root
      .command(verb)
      .description(`${verb} a container behind its shield, with its profiles as they are now`)
      .argument("<container>", "its name")
      .argument("[podman...]", `options of podman ${verb === "start" ? "start" : "stop"}, after --`)
      .action(async (container: string, podmanArguments: string[]) => {
        const commands = await import("./commands/start.ts");
        process.exitCode = await commands[verb](host(), { container, podmanArguments, onPrepared: warn });
      });
  }
  for (const verb of ["allow", "deny"] as const) {
    root
      .command(verb)
      .description(
        verb === "allow"
          ? "open destinations, at once where the container runs, and at each later start"
          : "close destinations, and end what flows to them; beats every allow",
      )
      .argument("<container>", "its name")
      .argument(
        "<targets...>",
        "names, *.names, addresses or ranges; every port, or :PORT[-PORT][/tcp or /udp] after them",
      )
      .option("--for <duration>", "30s, 10m, 2h or 1d; for good when absent", parseDuration)
      .option("--json", "print one JSON document")
      .action(async (container: string, targets: string[], options: DecisionOptions) => {
        const [commands, print_] = await Promise.all([
          import("./commands/allow-deny.ts"),
          import("./print/decision.ts"),
        ]);
        const report = await commands[verb](host(), { container, targets, ...secondsOf(options) });
        if (options.json === true) return print(print_.renderDecisionJson(report));
        print(print_.renderDecision(report, new Date()));
        warn(report);
      });
  }
  root
    .command("down")
    .description(
      "open everything but what is denied and private, until up or the container's end; still audited",
    )
    .argument("<containers...>", "their names")
    .option("--all", "private addresses, too")
    .option("--for <duration>", "30s, 10m, 2h or 1d; then it comes back up by itself", parseDuration)
    .option("--json", "print one JSON document a container")
    .action(async (containers: string[], { all, ...options }: DecisionOptions & { all?: true }) => {
      const { down } = await import("./commands/change-mode.ts");
      await changeModes(containers, options, (container) =>
        down(host(), { container, all: all === true, ...secondsOf(options) }),
      );
    });
  root
    .command("up")
    .description("end bypass or a block")
    .argument("<containers...>", "their names")
    .option("--repair", "load the rules and start dnsmasq and ulogd anew, whatever there is")
    .option("--json", "print one JSON document a container")
    .action(async (containers: string[], options: { repair?: true; json?: true }) => {
      const { up } = await import("./commands/change-mode.ts");
      const repair = options.repair === true;
      await changeModes(containers, options, (container) => up(host(), container, { repair }));
    });
  root
    .command("block")
    .description("let nothing in or out until up, also over restarts: for an incident")
    .argument("<containers...>", "their names")
    .option("--json", "print one JSON document a container")
    .action(async (containers: string[], options: { json?: true }) => {
      const { block } = await import("./commands/change-mode.ts");
      await changeModes(containers, options, (container) => block(host(), container));
    });
  // For the process that waits for a lease's end.
  root
    .command("expire", { hidden: true })
    .argument("<container>")
    .action(async (container: string) => {
      const { expire } = await import("./commands/change-mode.ts");
      await expire(host(), container);
    });
  root
    .command("status")
    .description(
      "what the kernel enforces now; exit code 3 when a container runs unprotected or its rules are wrong",
    )
    .argument("[container]", "one of them; all when absent")
    .option("--json", "print one JSON document")
    .action(async (container: string | undefined, options: { json?: true }) => {
      const { isProtected, readAllStatus, readStatus } = await import("./commands/status.ts");
      const { renderStatus } = await import("./print/status.ts");
      const reports =
        container === undefined ? await readAllStatus(host()) : [await readStatus(host(), container)];
      const shown = container === undefined ? reports : reports[0];
      print(options.json === true ? `${JSON.stringify(shown)}\n` : renderStatus(reports));
      if (!reports.every(({ status }) => isProtected(status))) process.exitCode = EXIT.unprotected;
    });
  root
    .command("rules")
    .description("the rules that the kernel has for a running container")
    .argument("<container>", "its name")
    .action(async (container: string) => {
      const { readRules } = await import("./commands/rules.ts");
      print(await readRules(host(), container));
    });
  root
    .command("profiles")
    .description("the allowlists there are; a user's own replaces the bundled one of the same name")
    .option("--json", "print one JSON document")
    .action(async (options: { json?: true }) => {
      const { listProfiles } = await import("./host/profile-files.ts");
      const profiles = await listProfiles(host().places);
      const width = Math.max(...profiles.map(({ name }) => name.length));
      print(
        options.json === true
          ? `${JSON.stringify(profiles)}\n`
          : profiles
              .map(({ name, origin, file }) => `${name.padEnd(width)}  ${origin.padEnd(7)}  ${file}\n`)
              .join(""),
      );
    });
  root
    .command("preview")
    .description("the ruleset that a container would get; touches nothing")
    .option("--profiles <names...>", "allowlists, merged in this order")
    .option("--down", "in bypass")
    .option("--all", "in bypass, private ranges open too")
    .action(async (options: { profiles?: string[]; down?: true; all?: true }) => {
      if (options.all === true && options.down !== true) {
        throw new ShieldError("--all belongs to --down. Write preview --down --all.", { code: "usage" });
      }
      const { preview } = await import("./commands/preview.ts");
      const privateRanges = options.all === true ? "open" : "closed";
      const mode =
        options.down === true ? ({ kind: "down", privateRanges } as const) : ({ kind: "up" } as const);
      print(await preview(host(), { mode, ...profilesOf(options) }));
    });
  root
    .command("resolve")
    .description(
      "resolve the names that a container may reach; without dnsmasq the answers come into force at once",
    )
    .argument("<container>", "its name")
    .option("--force", "ask again although the answers kept are less than an hour old")
    .option("--json", "print one JSON document")
    .action(async (container: string, options: { force?: true; json?: true }) => {
      const { resolve } = await import("./commands/resolve.ts");
      const { resolved, unresolved } = await resolve(host(), container, { force: options.force === true });
      if (options.json === true) {
        print(`${JSON.stringify({ resolved: Object.fromEntries(resolved), unresolved })}\n`);
        return;
      }
      print([...resolved].map(([name, addresses]) => `${name} -> ${addresses.join(" ")}\n`).join(""));
      for (const { name, reason } of unresolved)
        process.stderr.write(`${name} does not resolve: ${reason}\n`);
    });
  root
    .command("logs")
    .description("the newest of what happened to containers and of what they tried, as JSON lines")
    .option("--container <name>", "of one container; of all when absent")
    .option("-n, --lines <count>", "how many; 20, or all since a time, when absent", parseCount)
    .option("--since <time>", "10m (before now), 2026-11-24, 2026-11-24T10:15 or 2026-11-24T10:15:02Z")
    .option("--until <time>", "the same")
    .addOption(new Option("-f, --follow", "and what comes until the container ends").conflicts("until"))
    .addOption(onlyOption())
    .option("--pretty", "lines for people, repeats joined")
    .action(async (options: LogsOptions) => {
      const { showLogs } = await import("./show-logs.ts");
      await showLogs(host(), options);
    });
  addEventCommands(root, { host, print });
  addMaintenanceCommands(root, { host, print });
  return root;

  function host(): Host {
    return openHost({ stateDirectory: root.opts<{ stateDir?: string }>().stateDir });
  }
}

interface DecisionOptions {
  readonly for?: number;
  readonly json?: true;
}

function secondsOf(options: DecisionOptions): { seconds?: number } {
  return options.for === undefined ? {} : { seconds: options.for };
}

/** One container that cannot be changed leaves the others to be. */
async function changeModes(
  containers: readonly string[],
  options: { readonly json?: true },
  change: (container: string) => Promise<ModeReport>,
): Promise<void> {
  const { renderMode, renderModeJson } = await import("./print/mode.ts");
  for (const container of containers) {
    try {
      const report = await change(container);
      print(options.json === true ? renderModeJson(report) : renderMode(report, new Date()));
      if (options.json !== true) warn(report);
    } catch (cause) {
      process.exitCode = report(cause);
    }
  }
}

interface RunOptions {
  readonly profiles?: string[];
  readonly trustMount?: string[];
}

interface PrepareOptions extends RunOptions {
  readonly publish?: { protocol: "tcp" | "udp"; port: number }[];
  readonly format: PrepareFormat;
  readonly json?: true;
}

function profilesOf({ profiles }: { readonly profiles?: readonly string[] }): {
  profiles?: readonly string[];
} {
  return profiles === undefined ? {} : { profiles };
}

function parsePublished(
  text: string,
  previous: PrepareOptions["publish"] = [],
): NonNullable<PrepareOptions["publish"]> {
  const [, port, protocol = "tcp"] = /^([1-9]\d{0,4})(?:\/(tcp|udp))?$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65535)
    throw new InvalidArgumentError("Use PORT, PORT/tcp or PORT/udp.");
  return [...previous, { protocol: protocol as "tcp" | "udp", port: Number(port) }];
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError("Use a number from 1 to 9999999.");
  return Number(text);
}

function warn({
  notes,
  container,
  isRunning = true,
}: Pick<Prepared, "notes"> & { readonly container?: string; readonly isRunning?: boolean }): void {
  const later = isRunning ? [] : [`${container} does not run: this holds from its next start on`];
  for (const note of [...later, ...notes]) process.stderr.write(`terok-shield: note: ${note}\n`);
}

function print(text: string): void {
  process.stdout.write(text);
}

/** Prints a failure and says with which code to exit. */
function report(cause: unknown): number {
  if (cause instanceof CommanderError) return cause.exitCode === 0 ? EXIT.done : EXIT.usage;
  process.stderr.write(renderError(cause, { debug: program.opts<{ debug?: true }>().debug === true }));
  return isInputError(cause) || (cause instanceof ShieldError && cause.code === "usage")
    ? EXIT.usage
    : EXIT.failed;
}
