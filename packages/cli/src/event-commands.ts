import { type Command, Option } from "commander";
import { EVENT_KINDS, parseEventFilter } from "./event-filter.ts";
import type { Program } from "./maintenance-commands.ts";
import { ShieldError } from "./shield-error.ts";

/** Of the commands that can show events of some kinds alone. */
export function onlyOption(): Option {
  return new Option("--only <kinds>", `with commas between: ${EVENT_KINDS.join(", ")}`).argParser(
    (kinds: string, previous: readonly string[] = []) => [...previous, kinds],
  );
}

interface WatchOptions {
  readonly all?: true;
  readonly json?: true;
  readonly pretty?: true;
  readonly only?: string[];
}

interface LearnOptions {
  readonly profile?: string;
  readonly since?: string;
  readonly write?: true;
  readonly yes?: true;
  readonly json?: true;
}

/** The commands that show what containers tried, and decide about it. */
export function addEventCommands(root: Command, { host, print }: Program): void {
  root
    .command("watch")
    .description("what containers try, as it happens: a line for each event, JSON when no terminal reads it")
    .argument("[containers...]", "their names")
    .option("--all", "those that run, and those that start later")
    .option("--json", "JSON lines on a terminal, too")
    .addOption(new Option("--pretty", "lines for people where no terminal reads them, too").conflicts("json"))
    .addOption(onlyOption())
    .action(async (containers: string[], { all, only, ...form }: WatchOptions) => {
      if ((all === true) === containers.length > 0) {
        throw new ShieldError("Name the containers to watch, or say --all.", { code: "usage" });
      }
      const isWanted = parseEventFilter(only);
      const [{ watch }, { openPrinter }, { openOutput, untilStopped }] = await Promise.all([
        import("./commands/watch.ts"),
        import("./print/event-stream.ts"),
        import("./host/output.ts"),
      ]);
      const printer = openPrinter(openOutput(), form);
      await watch(host(), {
        ...{ containers: all === true ? "all" : containers, isWanted, printer, signal: untilStopped() },
        onEnd: (container) => void process.stderr.write(`terok-shield: ${container} has ended.\n`),
      });
    });
  root
    .command("explain")
    .description(
      "whether destinations pass, and who decided it, by the kernel's rules and the resolver as they are now",
    )
    .argument("<container>", "its name")
    .argument(
      "<targets...>",
      "name or address, with a port or without: api.example.com:443, [2001:db8::1]:53/udp",
    )
    .option("--json", "print one JSON document")
    .action(async (container: string, targets: string[], options: { json?: true }) => {
      const [{ explain }, { renderExplanation, renderExplanationJson }] = await Promise.all([
        import("./commands/explain.ts"),
        import("./print/explain.ts"),
      ]);
      const explanation = await explain(host(), container, targets);
      print(options.json === true ? renderExplanationJson(explanation) : renderExplanation(explanation));
      if (explanation.targets.some(({ verdict }) => verdict === "unknown")) process.exitCode = 1;
    });
  root
    .command("learn")
    .description("proposes a profile from what a container was refused, or had in bypass")
    .argument("<container>", "its name")
    .option("--profile <name>", "where it belongs; the container's last one of your own when absent")
    .option(
      "--since <time>",
      "10m (before now), 2026-11-24 or 2026-11-24T10:15; all that the logs have when absent",
    )
    .option("--write", "adds it to that profile, and puts it in force for the container at once")
    .option("--yes", "also where the profile replaces a bundled one, or is not yet the container's")
    .option("--json", "print one JSON document")
    .action(async (container: string, { json, ...request }: LearnOptions) => {
      const [{ learn }, { renderLearned, renderLearnedJson }] = await Promise.all([
        import("./commands/learn.ts"),
        import("./print/learn.ts"),
      ]);
      const learned = await learn(host(), { container, ...request });
      print(json === true ? renderLearnedJson(learned) : renderLearned(learned));
      for (const note of learned.notes) process.stderr.write(`terok-shield: note: ${note}\n`);
    });
  root
    .command("clearance")
    .description(
      "asks you about each new destination that was refused: allow it, for a time or for good, or deny it",
    )
    .argument("[containers...]", "their names; all that run when absent")
    .option("--no-notify", "no notifications on the desktop")
    .action(async (containers: string[], { notify }: { readonly notify: boolean }) => {
      const [{ clearance }, { openKeyTerminal }, { openNotifier }, { untilStopped }] = await Promise.all([
        import("./commands/clearance.ts"),
        import("./host/clearance-terminal.ts"),
        import("./host/notifier.ts"),
        import("./host/output.ts"),
      ]);
      const shield = host();
      const decided = await clearance(shield, {
        containers,
        openTerminal: openKeyTerminal,
        notifier: notify ? await openNotifier(shield) : undefined,
        signal: untilStopped(),
      });
      print(decided.map((line) => `${line}\n`).join(""));
    });
  root
    .command("stats")
    .description(
      "what the kernel counted since each container's start: let through, refused, DNS, sizes of sets",
    )
    .argument("[containers...]", "their names; all when absent")
    .option("--json", "print one JSON document")
    .addOption(new Option("--prometheus", "metrics in Prometheus' text format").conflicts("json"))
    .action(async (containers: string[], options: { json?: true; prometheus?: true }) => {
      const { readStats } = await import("./commands/stats.ts");
      const stats = await readStats(host(), containers);
      if (options.prometheus === true) {
        const { renderPrometheus } = await import("./print/prometheus.ts");
        return print(renderPrometheus(stats));
      }
      const { renderStats, renderStatsJson } = await import("./print/stats.ts");
      print(options.json === true ? renderStatsJson(stats) : renderStats(stats));
    });
  root
    .command("report")
    .description("one page of HTML about a container: what it reached, what was refused, what was decided")
    .argument("<container>", "its name")
    .option("-o, --output <file>", "where to write it; to what reads standard output when absent")
    .option(
      "--since <time>",
      "10m (before now), 2026-11-24 or 2026-11-24T10:15; all that the logs have when absent",
    )
    .action(async (container: string, options: { output?: string; since?: string }) => {
      const { writeReport } = await import("./commands/report.ts");
      await writeReport(host(), { container, ...options, isTerminal: process.stdout.isTTY === true, print });
    });
}
