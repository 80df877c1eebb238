/**
 * Runs the end-to-end tests and the attacks on every platform, and writes what came of it to docs/matrix.md. Run by
 * `pnpm test:matrix`, which takes an hour or more; `pnpm test:matrix trixie pasta` runs those rows alone, and leaves the
 * others as they are.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

interface Row {
  /** Undefined for this machine's own. */
  readonly distribution?: string;
  readonly network: "slirp4netns" | "pasta";
  readonly runtime: "crun" | "runc";
}

interface Results {
  readonly passed: number;
  readonly failed: readonly { readonly name: string }[];
  /** Proves nothing, so it counts as failed. */
  readonly skipped: readonly string[];
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const ROWS: readonly Row[] = [
  { network: "slirp4netns", runtime: "crun" },
  { network: "slirp4netns", runtime: "runc" },
  { distribution: "trixie", network: "pasta", runtime: "crun" },
  { distribution: "trixie", network: "pasta", runtime: "runc" },
  { distribution: "trixie", network: "slirp4netns", runtime: "crun" },
];
/** Which package a program is of, where that has another name. */
const PACKAGES: Readonly<Record<string, string>> = {
  nft: "nftables",
  dnsmasq: "dnsmasq-base",
  ulogd: "ulogd2",
  pasta: "passt",
};

const chosen = process.argv.slice(2);
const rows = ROWS.filter((row) =>
  chosen.every((word) => [row.distribution ?? "here", row.network, row.runtime].includes(word)),
);
const PAGE = path.join(ROOT, "docs/matrix.md");

interface Outcome {
  readonly cells: string;
  readonly failures: readonly string[];
}

mustRun("e2e/bin/install-packages.sh", [], {
  MORE_PACKAGES: [...new Set(rows.map(({ runtime }) => runtime))].join(" "),
});
const before = existsSync(PAGE) ? readFileSync(PAGE, "utf8").split("\n") : [];
const outcomes = new Map(ROWS.map((row) => [nameRow(row), readRow(row)]));
for (const row of rows) {
  const outcome = runRow(row);
  outcomes.set(nameRow(row), outcome);
  writeFileSync(PAGE, renderPage(outcomes));
  if (outcome.failures.length > 0) process.exitCode = 1;
}
process.stdout.write(renderPage(outcomes));

function nameRow({ distribution, network, runtime }: Row): string {
  return `${distribution === undefined ? "This machine" : "Debian 13"}, ${network}, ${runtime}`;
}

/** What the page says of a row that was not run now. */
function readRow(row: Row): Outcome | undefined {
  const [start, failure] = [`| ${nameRow(row)} | `, `- ${nameRow(row)}: `];
  const cells = before.find((line) => line.startsWith(start))?.slice(start.length, -2);
  const failures = before.filter((line) => line.startsWith(failure));
  return cells === undefined
    ? undefined
    : { cells, failures: failures.map((line) => line.slice(failure.length)) };
}

function renderPage(outcomes: ReadonlyMap<string, Outcome | undefined>): string {
  const told = [...outcomes];
  const failures = told.flatMap(([name, outcome]) =>
    (outcome?.failures ?? []).map((failure) => `- ${name}: ${failure}`),
  );
  const missing = told.filter(([, outcome]) => outcome === undefined).map(([name]) => `- ${name}`);
  return [
    "# Where it was tested",
    "",
    "All end-to-end tests and all attacks, by `pnpm test:matrix`, which writes this page; it may run some rows alone. Debian 13",
    "is a tree of its packages on the same machine.",
    "",
    "| Platform | Commit | Linux | Debian | Podman | Network | Runtime | nft | dnsmasq | ulogd | Node | Tests | Attacks |",
    `|${" --- |".repeat(13)}`,
    ...told.flatMap(([name, outcome]) => (outcome === undefined ? [] : [`| ${name} | ${outcome.cells} |`])),
    "",
    ...(failures.length === 0 ? ["None failed, and none was skipped."] : ["Failed:", "", ...failures]),
    ...(missing.length === 0 ? [] : ["", "Not run yet:", "", ...missing]),
    "",
  ].join("\n");
}

function runRow(row: Row): Outcome {
  const tree =
    row.distribution === undefined ? undefined : mustRun("e2e/bin/make-tree.sh", [row.distribution]);
  const root = tree ?? "/";
  const debian = readFileSync(path.join(root, "etc/debian_version"), "utf8").trim();
  const failures: string[] = [];
  const cells = [
    ...[mustGit("rev-parse", "--short=7", "HEAD"), release(), debian, packageVersion(root, "podman")],
    ...[row.network, row.runtime].map((program) => `${program} ${packageVersion(root, program)}`),
    ...["nft", "dnsmasq", "ulogd"].map((program) => packageVersion(root, program)),
    tree === undefined ? process.versions.node : packageVersion(tree, "nodejs"),
    ...["e2e", "attacks"].map((project) => {
      const { passed, missing } = runTests(project, row, tree);
      failures.push(...missing);
      return `${passed} of ${passed + missing.length}`;
    }),
  ];
  return { cells: cells.join(" | "), failures };
}

function mustGit(...args: readonly string[]): string {
  const { status, stdout } = spawnSync("git", args, { cwd: ROOT, encoding: "utf8" });
  if (status !== 0) throw new Error("This is no git repository, so the page could not say what was tested.");
  return stdout.trim();
}

/** Without what Debian adds to it. */
function packageVersion(root: string, program: string): string {
  const args = [`--root=${root}`, "--status", PACKAGES[program] ?? program];
  const { stdout } = spawnSync("dpkg-query", args, { encoding: "utf8" });
  return /^Version: ([^+-]+)/m.exec(stdout)?.[1] ?? "none";
}

/** Runs a script of the repository and gives what it prints. */
function mustRun(script: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout } = spawnSync("sh", [script, ...args], {
    cwd: ROOT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw new Error(`${script} failed.`);
  return stdout.trim();
}

/** `missing` are those that failed or were skipped. */
function runTests(
  project: string,
  { network, runtime }: Row,
  tree: string | undefined,
): { readonly passed: number; readonly missing: readonly string[] } {
  const directory = mkdtempSync(path.join(tmpdir(), "terok-shield-matrix-"));
  const file = path.join(directory, "results.json");
  const reporters = ["--reporter=default", "--reporter=./e2e/bin/results-reporter.mjs"];
  try {
    spawnSync("node_modules/.bin/vitest", ["run", "--project", project, ...reporters], {
      cwd: ROOT,
      stdio: ["ignore", "inherit", "inherit"],
      env: {
        ...process.env,
        ...{ TEST_RESULTS: file, E2E_NETWORK: network, E2E_RUNTIME: runtime },
        ...(tree === undefined ? {} : { E2E_TREE: tree }),
      },
    });
    const { passed, failed, skipped } = readResults(file);
    return {
      passed,
      missing: [...failed.map(({ name }) => name), ...skipped.map((name) => `${name} (skipped)`)],
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** A run that ended without a report has proved nothing. */
function readResults(file: string): Results {
  return existsSync(file)
    ? JSON.parse(readFileSync(file, "utf8"))
    : { passed: 0, failed: [{ name: "there is no report" }], skipped: [] };
}
