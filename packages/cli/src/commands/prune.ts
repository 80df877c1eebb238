import { ANNOTATION } from "@terok-shield/hook-entrypoint/contract";
import * as z from "zod";
import { readBundleFacts, readHelperFacts, removeBundle, removeRemains } from "../host/bundle-use.ts";
import { endHelperProcesses } from "../host/end-helper-processes.ts";
import type { Host } from "../host/host.ts";
import {
  type BundleFacts,
  GRACE_SECONDS,
  type HelperFacts,
  type PodmanContainer,
  planPrune,
} from "../prune-plan.ts";
import { ShieldError } from "../shield-error.ts";

export interface PruneOptions {
  /** Bundles that are new, and those of Quadlet units and compose files, too. */
  readonly all?: boolean;
  /** Only say what would go. */
  readonly dryRun?: boolean;
}

export interface Pruned {
  readonly bundles: readonly Pick<BundleFacts, "container" | "directory">[];
  readonly helpers: readonly Pick<HelperFacts, "pid" | "kind" | "bundle">[];
}

/**
 * Removes the bundles of containers that podman does not have any more, with their audit logs, and ends helpers
 * whose container is gone.
 * @throws ShieldError when podman cannot say which containers there are; then nothing is touched.
 */
export async function prune(host: Host, { all = false, dryRun = false }: PruneOptions = {}): Promise<Pruned> {
  const startedAt = host.now().getTime();
  const plan = await planNow(host, all);
  const asResult = ({ container, directory }: BundleFacts) => ({ container, directory });
  const { helpers } = plan;
  if (dryRun) return { bundles: plan.bundles.map(asResult), helpers };
  const unlessPreparedSince = all ? startedAt : startedAt - GRACE_SECONDS * 1000;
  const bundles: BundleFacts[] = [];
  for (const bundle of plan.bundles) {
    if (await removeBundle(host, bundle, unlessPreparedSince)) bundles.push(bundle);
  }
  await removeRemains(host);
  await endHelperProcesses(helpers);
  return { bundles: bundles.map(asResult), helpers };
}

async function planNow(host: Host, all: boolean) {
  const { programs } = await host.facts();
  // Podman is asked last: what it does not know was not there when we looked at the bundles either.
  const bundles = await readBundleFacts(host);
  const helpers = readHelperFacts(host);
  const ask = async (...args: string[]) =>
    (await host.runCommand({ program: "podman", file: programs.podman, args })).stdout;
  const containers = parseContainers(await ask("ps", "--all", "--format", "json"));
  const facts = { bundles, helpers, containers, stateDirectories: [] };
  const first = planPrune(facts, { all });
  const own = new Set<string>(bundles.map(({ container }) => container));
  const others = containers.filter(({ names }) => !names.some((name) => own.has(name))).map(({ id }) => id);
  if (first.bundles.length === 0 || others.length === 0) return first;
  const annotations = await ask(
    "container",
    "inspect",
    "--format",
    "{{json .Config.Annotations}}",
    ...others,
  );
  return planPrune({ ...facts, stateDirectories: parseStateDirectories(annotations) }, { all });
}

const listedContainers = z
  .array(z.object({ Id: z.string(), Names: z.array(z.string()).nullish() }))
  .nullable()
  .transform((found) => (found ?? []).map(({ Id, Names }) => ({ id: Id, names: Names ?? [] })));

function parseContainers(json: string): PodmanContainer[] {
  return parseAnswer(listedContainers, json);
}

const annotationsOfOne = z.record(z.string(), z.string()).nullable();

/** One line of JSON a container. */
function parseStateDirectories(lines: string): string[] {
  return lines
    .split("\n")
    .filter((line) => line !== "")
    .flatMap((line) => parseAnswer(annotationsOfOne, line)?.[ANNOTATION.stateDirectory] ?? []);
}

function parseAnswer<Value>(schema: z.ZodType<Value>, json: string): Value {
  try {
    return schema.parse(JSON.parse(json));
  } catch (cause) {
    throw new ShieldError("podman's list of containers cannot be read, so nothing was removed.", { cause });
  }
}
