import { digArguments, parseDigAnswers, type RecordType } from "./dig.ts";
import { getentArguments, parseGetentAnswers } from "./getent.ts";

/** One process that asks for addresses. `signal` ends it at the deadline. */
export interface ResolverCommand {
  readonly file: "dig" | "getent";
  readonly args: readonly string[];
  readonly signal: AbortSignal;
}

/** Runs a command and rejects when it fails. A rejection may carry the process's `exitCode`. */
export type RunResolver = (command: ResolverCommand) => Promise<{ readonly stdout: string }>;

export interface ResolveOptions {
  readonly tier: "dig" | "getent";
  readonly runCommand: RunResolver;
  /** One deadline for all names together. */
  readonly deadlineMilliseconds?: number;
  /** Whom dig asks, "ADDRESS" or "ADDRESS#PORT"; the resolvers of the machine by default. */
  readonly server?: string;
  /** Processes at a time. Further questions wait for a place, under the same deadline. */
  readonly maximumProcesses?: number;
}

/** Each name asked for is in one of the two. */
export interface Resolution {
  readonly resolved: Map<string, readonly string[]>;
  readonly unresolved: readonly { readonly name: string; readonly reason: string }[];
}

const DEFAULT_DEADLINE_MILLISECONDS = 5000;
const DEFAULT_MAXIMUM_PROCESSES = 128;
const MOST_ADDRESSES = 256;

/**
 * Resolves all names at once. A name that does not resolve, or whose resolver fails or never answers, is
 * reported and never thrown. Addresses are well formed, and otherwise as the resolver gave them: private and
 * special ones are the caller's to sort out.
 * @throws Error when a name is not canonical.
 */
export async function resolveNames(names: readonly string[], options: ResolveOptions): Promise<Resolution> {
  const asked = [...new Set(names)];
  const questions = asked.flatMap((name) => questionsFor(name, options));
  const deadline = startDeadline(options.deadlineMilliseconds ?? DEFAULT_DEADLINE_MILLISECONDS);
  try {
    return collect(asked, await askAll(questions, deadline, options));
  } finally {
    deadline.end();
  }
}

interface Question {
  readonly name: string;
  readonly command: Omit<ResolverCommand, "signal">;
  readonly read: (stdout: string) => Outcome;
}

type Outcome =
  | { readonly kind: "addresses"; readonly addresses: readonly string[] }
  | { readonly kind: "none" | "failed"; readonly reason: string };

interface Answer {
  readonly name: string;
  readonly outcome: Outcome;
}

const RECORD_TYPES: readonly RecordType[] = ["A", "AAAA"];

function questionsFor(name: string, options: ResolveOptions): Question[] {
  const { tier, server, deadlineMilliseconds = DEFAULT_DEADLINE_MILLISECONDS } = options;
  if (tier === "getent") {
    return [{ name, command: { file: "getent", args: getentArguments(name) }, read: readGetent }];
  }
  // Two tries have to fit in.
  const timeoutSeconds = Math.max(1, Math.floor(deadlineMilliseconds / 2000));
  return RECORD_TYPES.map((type) => {
    const args = digArguments(name, type, { timeoutSeconds, ...(server === undefined ? {} : { server }) });
    return { name, command: { file: "dig", args }, read: (stdout) => readDig(stdout, name) };
  });
}

function readDig(stdout: string, name: string): Outcome {
  const { addresses, status } = parseDigAnswers(stdout, name);
  if (addresses.length > 0) return { kind: "addresses", addresses };
  if (status === undefined) return { kind: "failed", reason: "no reply" };
  return status === "NOERROR"
    ? { kind: "none", reason: "the name has no address" }
    : { kind: "failed", reason: `the resolver answered ${status}` };
}

function readGetent(stdout: string): Outcome {
  const addresses = parseGetentAnswers(stdout);
  return addresses.length > 0
    ? { kind: "addresses", addresses }
    : { kind: "none", reason: "the name has no address" };
}

async function askAll(
  questions: readonly Question[],
  deadline: Deadline,
  { runCommand, maximumProcesses = DEFAULT_MAXIMUM_PROCESSES }: ResolveOptions,
): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  const ask = async ({ command, read }: Question): Promise<Outcome> => {
    try {
      const { stdout } = await runCommand({ ...command, signal: deadline.newSignal() });
      return read(stdout);
    } catch (error) {
      return deadline.isOver() ? deadline.outcome : readFailure(error);
    }
  };
  const waiting = questions.entries();
  const work = async (): Promise<void> => {
    // The workers share one iterator, so that each question is taken once.
    for (const [index, question] of waiting) {
      const outcome = deadline.isOver()
        ? deadline.outcome
        : await Promise.race([ask(question), deadline.over]);
      answers[index] = { name: question.name, outcome };
    }
  };
  await Promise.all(Array.from({ length: Math.min(maximumProcesses, questions.length) }, work));
  return answers;
}

interface Deadline {
  /** Resolves to `outcome` when the time is up. */
  readonly over: Promise<Outcome>;
  readonly outcome: Outcome;
  isOver(): boolean;
  /** A signal for one process: listeners of all processes on one signal make Node warn of a leak. */
  newSignal(): AbortSignal;
  /** Stops the clock, and whatever still runs: nobody waits for it. */
  end(): void;
}

function startDeadline(milliseconds: number): Deadline {
  const outcome: Outcome = { kind: "failed", reason: `no answer within ${milliseconds / 1000} s` };
  const controllers: AbortController[] = [];
  const abortAll = (): void => {
    for (const controller of controllers) controller.abort();
  };
  let isOver = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<Outcome>((resolve) => {
    timer = setTimeout(() => {
      isOver = true;
      resolve(outcome);
      abortAll();
    }, milliseconds);
  });
  return {
    over,
    outcome,
    isOver: () => isOver,
    newSignal: () => {
      const controller = new AbortController();
      controllers.push(controller);
      return controller.signal;
    },
    end: () => {
      clearTimeout(timer);
      abortAll();
    },
  };
}

/** Exit codes: getent 2 is "not found", dig 9 is "no reply from a server". */
function readFailure(error: unknown): Outcome {
  const exitCode = error instanceof Error && "exitCode" in error ? error.exitCode : undefined;
  if (exitCode === 2) return { kind: "none", reason: "the name does not resolve" };
  if (exitCode === 9) return { kind: "failed", reason: "the resolver did not reply" };
  const message = error instanceof Error ? error.message : String(error);
  const [firstLine = ""] = message.split("\n", 1);
  return { kind: "failed", reason: `the lookup failed: ${JSON.stringify(firstLine.slice(0, 200))}` };
}

function collect(names: readonly string[], answers: readonly Answer[]): Resolution {
  const resolved = new Map<string, readonly string[]>();
  const unresolved: { name: string; reason: string }[] = [];
  const outcomes = new Map<string, Outcome[]>(names.map((name) => [name, []]));
  for (const { name, outcome } of answers) outcomes.get(name)?.push(outcome);
  for (const [name, ofName] of outcomes) {
    const found = ofName.flatMap((outcome) => (outcome.kind === "addresses" ? outcome.addresses : []));
    const addresses = [...new Set(found)];
    if (addresses.length > MOST_ADDRESSES) {
      unresolved.push({
        name,
        reason: `the name has ${addresses.length} addresses, more than ${MOST_ADDRESSES}`,
      });
    } else if (addresses.length > 0) {
      resolved.set(name, addresses);
    } else {
      unresolved.push({ name, reason: worstReason(ofName) });
    }
  }
  return { resolved, unresolved };
}

/** A failure says more than the absence of one kind of record. */
function worstReason(outcomes: readonly Outcome[]): string {
  const reasons = outcomes.filter((outcome) => outcome.kind !== "addresses");
  return (reasons.find(({ kind }) => kind === "failed") ?? reasons[0])?.reason ?? "nobody was asked";
}
