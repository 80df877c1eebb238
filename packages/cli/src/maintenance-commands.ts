import type { Command } from "commander";
import type { Host } from "./host/host.ts";
import { EXIT, ShieldError } from "./shield-error.ts";

/** What the commands need of the program that they belong to. */
export interface Program {
  readonly host: () => Host;
  readonly print: (text: string) => void;
}

/** The commands about the machine and all of its containers. */
export function addMaintenanceCommands(root: Command, { host, print }: Program): void {
  root
    .command("list")
    .description("all shielded containers: state, tier, connections let through, packets refused, profiles")
    .option("--json", "print one JSON document")
    .action(async (options: { json?: true }) => {
      const { list } = await import("./commands/list.ts");
      const { renderList } = await import("./print/list.ts");
      const containers = await list(host());
      print(options.json === true ? `${JSON.stringify(containers)}\n` : renderList(containers));
    });
  root
    .command("setup")
    .description(
      "let podman itself start shielded containers: podman start, restart policies, after a reboot",
    )
    .option("--user", "for this user (the default)")
    .option("--system", "for every user, as root")
    .option("--uninstall", "take it away again; podman's own start is refused then")
    .action(async (options: { user?: true; system?: true; uninstall?: true }) => {
      if (options.user === true && options.system === true) {
        throw new ShieldError("--user and --system exclude each other. Give one of them.", { code: "usage" });
      }
      const scope = options.system === true ? "system" : "user";
      const { setup, undoSetup } = await import("./commands/setup.ts");
      const { renderSetup, renderUninstall } = await import("./print/setup.ts");
      const isUninstall = options.uninstall === true;
      const result = await (isUninstall ? undoSetup : setup)(host(), scope);
      print((isUninstall ? renderUninstall : renderSetup)(result));
      for (const note of result.notes) process.stderr.write(`terok-shield: note: ${note}\n`);
    });
  root
    .command("doctor")
    .description("what the shield needs and whether it is there; exit code 1 when something is missing")
    .option("--json", "print one JSON document")
    .action(async (options: { json?: true }) => {
      const { doctor, isFit } = await import("./commands/doctor.ts");
      const { renderChecks } = await import("./print/doctor.ts");
      const checks = await doctor(host());
      print(
        options.json === true ? `${JSON.stringify({ fit: isFit(checks), checks })}\n` : renderChecks(checks),
      );
      if (!isFit(checks)) process.exitCode = EXIT.failed;
    });
  root
    .command("prune")
    .description("remove what belongs to containers that podman does not have any more, audit logs included")
    .option("--dry-run", "only say what would go")
    .option("--all", "also what was prepared within the last hour, or for a Quadlet unit or a compose file")
    .action(async (options: { dryRun?: true; all?: true }) => {
      const { prune } = await import("./commands/prune.ts");
      const { renderPruned } = await import("./print/prune.ts");
      const dryRun = options.dryRun === true;
      print(renderPruned(await prune(host(), { dryRun, all: options.all === true }), { dryRun }));
    });
}
