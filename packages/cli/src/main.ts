#!/usr/bin/env node
import { Command, CommanderError, InvalidArgumentError } from "commander";
import packageJson from "../package.json" with { type: "json" };
import type { Prepared } from "./commands/prepare.ts";
import { type Host, openHost } from "./host/host.ts";
import { isInputError, renderError, renderUsageError } from "./print/error.ts";
import { EXIT, ShieldError } from "./shield-error.ts";

const EXAMPLES = `
Examples:
  terok-shield run my-container -- alpine:latest sh
  terok-shield run my-container --profiles dev-standard my-project -- -it -v .:/src alpine:latest sh
  podman run $(terok-shield prepare my-container) alpine:latest
  terok-shield status my-container
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
try {
  await program.parseAsync();
} catch (cause) {
  process.exitCode = report(cause);
}

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
    .option("--json", "print one JSON document")
    .action(async (container: string, options: PrepareOptions) => {
      const [{ prepare }, { resolveTrusted }] = await Promise.all([
        import("./commands/prepare.ts"),
        import("./commands/run.ts"),
      ]);
      const prepared = await prepare(host(), {
        container,
        ...profilesOf(options),
        published: options.publish ?? [],
        trustedMounts: await resolveTrusted(options.trustMount ?? []),
      });
      if (options.json !== true) {
        warn(prepared);
        print(`${prepared.podmanOptions.join(" ")}\n`);
        return;
      }
      const { tier, profiles, podmanOptions, notes } = prepared;
      print(`${JSON.stringify({ container, tier, profiles, podmanOptions, notes })}\n`);
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
    .description("the newest entries of the audit log, as JSON lines")
    .option("--container <name>", "of one container; of all when absent")
    .option("-n, --lines <count>", "how many", parseCount, 20)
    .action(async (options: { container?: string; lines: number }) => {
      const { readLogs } = await import("./commands/logs.ts");
      const { container, lines: count } = options;
      const events = await readLogs(host(), { count, ...(container === undefined ? {} : { container }) });
      print(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
    });
  return root;

  function host(): Host {
    return openHost({ stateDirectory: root.opts<{ stateDir?: string }>().stateDir });
  }
}

interface RunOptions {
  readonly profiles?: string[];
  readonly trustMount?: string[];
}

interface PrepareOptions extends RunOptions {
  readonly publish?: { protocol: "tcp" | "udp"; port: number }[];
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

function warn({ notes }: Prepared): void {
  for (const note of notes) process.stderr.write(`terok-shield: note: ${note}\n`);
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
