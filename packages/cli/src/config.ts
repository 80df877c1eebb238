import { parseProfileName } from "@terok-shield/profiles";
import { parseDocument } from "yaml";
import * as z from "zod";
import { ShieldError } from "./shield-error.ts";

const port = integer({ first: 1, last: 65_535, what: "a port" });

const profileName = z.string().transform((text, context) => {
  try {
    return parseProfileName(text);
  } catch (cause) {
    context.addIssue({ code: "custom", message: (cause as Error).message });
    return z.NEVER;
  }
});

const schema = z.strictObject({
  mode: z.enum(["hook", "auto"]).default("hook"),
  default_profiles: z.array(profileName).default(["dev-standard"]),
  loopback_ports: z.array(port).default([]),
  audit: z.strictObject({ enabled: z.boolean().default(true) }).prefault({}),
  network: z.enum(["auto", "slirp4netns", "pasta"]).default("auto"),
  dns: z
    .strictObject({
      tier: z.enum(["auto", "dnsmasq", "dig", "getent"]).default("auto"),
      /** How long an address that a name led to stays open unused. */
      timeout_seconds: integer({ first: 1, last: 86_400, what: "a number of seconds" }).default(7200),
    })
    .prefault({}),
  allow_public_suffix_wildcards: z.boolean().default(false),
});

/** `config.yml`, complete. */
export type Config = z.infer<typeof schema>;

/**
 * Reads `config.yml`; no text is the defaults.
 * @param file the name for complaints
 * @throws ShieldError (usage) naming file, line or key: a firewall does not guess.
 */
export function parseConfig(text: string, file: string): Config {
  const result = schema.safeParse(parseYaml(text, file) ?? {}, { reportInput: true });
  if (result.success) return result.data;
  const complaints = result.error.issues.flatMap(describeIssue).map((complaint) => `${file}, ${complaint}`);
  throw new ShieldError(complaints.join("\n"), { code: "usage" });
}

function parseYaml(text: string, file: string): unknown {
  const document = parseDocument(text, { prettyErrors: true, uniqueKeys: true });
  // A tag or directive that the parser does not know is a warning to it, and then it guesses.
  const [fault] = [...document.errors, ...document.warnings];
  if (fault !== undefined) {
    const reason = fault.message.split("\n")[0]?.replace(/ at line \d+, column \d+:?$/, "");
    throw new ShieldError(`${file}:${fault.linePos?.[0].line ?? 1}: ${reason}.`, { code: "usage" });
  }
  try {
    return document.toJS();
  } catch (cause) {
    // Aliases without an anchor, or more of them than a file of a person has.
    throw new ShieldError(`${file}: ${(cause as Error).message}.`, { code: "usage" });
  }
}

/** Whole numbers, with a complaint that says which. */
function integer({ first, last, what }: { first: number; last: number; what: string }): z.ZodType<number> {
  return z.custom<number>(
    (value) => Number.isInteger(value) && Number(value) >= first && Number(value) <= last,
    {
      error: ({ input }) => `${showValue(input)} is not ${what} (${first}-${last}).`,
    },
  );
}

function describeIssue(issue: z.core.$ZodIssue): string[] {
  const place = issue.path.length === 0 ? "top level" : renderPath(issue.path);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map(
      (key) => `${place}: ${JSON.stringify(key)} is not a key. ${hintAtKey(issue.path, key)}`,
    );
  }
  return [`${place}: ${describeValueIssue(issue)}`];
}

function hintAtKey(path: readonly PropertyKey[], key: string): string {
  const known = knownKeys(path);
  const near = known.find((candidate) => editDistance(candidate, key) <= 2);
  return near === undefined ? `Known keys: ${known.join(", ")}.` : `Did you mean ${near}?`;
}

const EXPECTED: Readonly<Record<string, string>> = {
  object: "a map of keys",
  array: "a list",
  string: "text",
  boolean: "true or false",
};

function describeValueIssue(issue: z.core.$ZodIssue): string {
  const value = showValue(issue.input);
  if (issue.code === "invalid_value") return `${value} is not one of ${issue.values.join(", ")}.`;
  if (issue.code === "invalid_type") return `${value} is not ${EXPECTED[issue.expected] ?? issue.expected}.`;
  return issue.message;
}

/** Lists and maps stay unprinted: an alias may put one into itself. */
function showValue(value: unknown): string {
  if (Array.isArray(value)) return "A list";
  if (typeof value === "object" && value !== null) return "A map";
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}

function renderPath(path: readonly PropertyKey[]): string {
  return path
    .map((key, index) => (typeof key === "number" ? `[${key}]` : `${index > 0 ? "." : ""}${String(key)}`))
    .join("");
}

function knownKeys(path: readonly PropertyKey[]): string[] {
  const shape: Record<string, z.ZodType> = schema.shape;
  const inner = path.length === 0 ? schema : shape[String(path[0])];
  const target = inner instanceof z.ZodPrefault ? inner.unwrap() : inner;
  return target instanceof z.ZodObject ? Object.keys(target.shape) : [];
}

/** Levenshtein's distance, row by row. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
