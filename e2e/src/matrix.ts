/**
 * Runs the end-to-end tests and the attacks on every platform, and writes what came of it to docs/matrix.md. Run by
 * `pnpm test:matrix`, which takes an hour or more; `pnpm test:matrix pasta` runs those rows alone and writes nothing.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { arch, release, tmpdir } from "node:os";
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
const table = [
  "| Debian | Podman | Network | Runtime | nft | dnsmasq | ulogd | Node | Tests | Attacks |",
  `|${" --- |".repeat(10)}`,
];
const failures: string[] = [];
mustRun("e2e/bin/install-packages.sh", [], {
  MORE_PACKAGES: [...new Set(rows.map(({ runtime }) => runtime))].join(" "),
});
for (const row of rows) table.push(runRow(row));

const page = [
  "# Where it was tested",
  "",
  `All end-to-end tests and all attacks, on Linux ${release()} (${arch()}), by \`pnpm test:matrix\`, which writes this page.`,
  "Debian 13 is a tree of its packages on the same machine.",
  "",
  ...table,
  "",
  ...(failures.length === 0 ? ["None failed, and none was skipped."] : ["Failed:", "", ...failures]),
  "",
].join("\n");
if (chosen.length === 0) writeFileSync(path.join(ROOT, "docs/matrix.md"), page);
process.stdout.write(page);
process.exitCode = failures.length === 0 ? 0 : 1;

function runRow(row: Row): string {
  const tree =
    row.distribution === undefined ? undefined : mustRun("e2e/bin/make-tree.sh", [row.distribution]);
  const root = tree ?? "/";
  const debian = readFileSync(path.join(root, "etc/debian_version"), "utf8").trim();
  const cells = [
    ...[debian, packageVersion(root, "podman")],
    ...[row.network, row.runtime].map((program) => `${program} ${packageVersion(root, program)}`),
    ...["nft", "dnsmasq", "ulogd"].map((program) => packageVersion(root, program)),
    tree === undefined ? process.versions.node : packageVersion(tree, "nodejs"),
    ...["e2e", "attacks"].map((project) => runTests(project, row, { tree, debian })),
  ];
  return `| ${cells.join(" | ")} |`;
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

/** "12 of 12" passed; what did not is told below the table. */
function runTests(
  project: string,
  { network, runtime }: Row,
  { tree, debian }: { readonly tree: string | undefined; readonly debian: string },
): string {
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
    const missing = [...failed.map(({ name }) => name), ...skipped.map((name) => `${name} (skipped)`)];
    failures.push(...missing.map((name) => `- Debian ${debian}, ${network}, ${runtime}: ${name}`));
    return `${passed} of ${passed + missing.length}`;
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
