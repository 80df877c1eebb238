import { parseProfileName } from "@terok-shield/profiles";
import { parseDocument } from "yaml";
import { z } from "zod";
import { ShieldError } from "./shield-error.ts";

const port = z.int().min(1).max(65535);

const schema = z.strictObject({
  mode: z.enum(["hook", "auto"]).default("hook"),
  default_profiles: z.array(z.string().transform(parseProfileName)).default(["dev-standard"]),
  loopback_ports: z.array(port).default([]),
  audit: z.strictObject({ enabled: z.boolean().default(true) }).prefault({}),
  network: z.enum(["auto", "slirp4netns", "pasta"]).default("auto"),
  dns: z
    .strictObject({
      tier: z.enum(["auto", "dnsmasq", "dig", "getent"]).default("auto"),
      /** How long an address that a name led to stays open unused. */
      timeout_seconds: z.int().min(1).max(86_400).default(1800),
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
  const document = parseDocument(text, { prettyErrors: true, uniqueKeys: true });
  const [fault] = document.errors;
  if (fault !== undefined) {
    const line = fault.linePos?.[0].line ?? 1;
    throw new ShieldError(`${file}:${line}: ${fault.message.split("\n")[0]}`, { code: "usage" });
  }
  const result = schema.safeParse(document.toJS() ?? {});
  if (result.success) return result.data;
  const complaints = result.error.issues.map((issue) => `${file}, ${describeIssue(issue)}`);
  throw new ShieldError(complaints.join("\n"), { code: "usage" });
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const place = issue.path.length === 0 ? "top level" : renderPath(issue.path);
  if (issue.code !== "unrecognized_keys") return `${place}: ${issue.message}.`;
  return issue.keys
    .map((key) => {
      const known = knownKeys(issue.path);
      const near = known.find((candidate) => editDistance(candidate, key) <= 2);
      const hint = near === undefined ? `Known keys: ${known.join(", ")}.` : `Did you mean ${near}?`;
      return `${place}: ${JSON.stringify(key)} is not a key. ${hint}`;
    })
    .join(" ");
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
