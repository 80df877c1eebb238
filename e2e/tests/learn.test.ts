import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { installedShield } from "./installed-shield.ts";
import { all, type ShieldedContainer, startShielded } from "./shielded-container.ts";

let lab: Lab;

beforeAll(async () => {
  lab = await createLab({ shieldPrefix: installedShield() });
  await lab.internet.setName("git.test", { addresses: ["198.18.3.1"] });
  await lab.internet.setName("registry.test", { addresses: ["198.18.3.2"] });
  await lab.internet.setName("files.registry.test", { addresses: ["198.18.3.3"] });
  await serveRepository();
  await servePackage();
});
afterAll(() => lab?.destroy());
beforeEach(() => lab.internet.reset());

async function serveRepository(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "terok-shield-git-"));
  try {
    const git = (...args: readonly string[]) =>
      execa("git", ["-c", "user.name=lab", "-c", "user.email=lab@good.test", ...args], { cwd: directory });
    await git("init", "--quiet", "work");
    await writeFile(join(directory, "work", "README"), "cloned\n");
    await git("-C", "work", "add", "README");
    await git("-C", "work", "commit", "--quiet", "--message=first");
    await git("clone", "--quiet", "--bare", "work", "bare");
    await git("-C", "bare", "update-server-info");
    const bare = join(directory, "bare");
    for (const entry of await readdir(bare, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const file = join(entry.parentPath, entry.name);
      const path = `/project.git/${file.slice(bare.length + 1)}`;
      await lab.internet.setFile("git.test", path, await readFile(file));
    }
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function servePackage(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "terok-shield-npm-"));
  try {
    const manifest = { name: "tiny", version: "1.0.0" };
    await writeFile(join(directory, "package.json"), JSON.stringify(manifest));
    const args = ["--create", "--gzip", "--transform=s,^,package/,", "package.json"];
    const { stdout } = await execa("tar", args, { cwd: directory, encoding: "buffer" });
    await lab.internet.setFile("files.registry.test", "/tiny-1.0.0.tgz", Buffer.from(stdout));
    const version = { ...manifest, dist: { tarball: "http://files.registry.test/tiny-1.0.0.tgz" } };
    const metadata = { name: "tiny", "dist-tags": { latest: "1.0.0" }, versions: { "1.0.0": version } };
    await lab.internet.setFile("registry.test", "/tiny", Buffer.from(JSON.stringify(metadata)));
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Ends with the exit code of the first that fails. */
const SESSION = `
set -e
export HOME=$(mktemp -d)
cd "$HOME"
curl -sS --max-time 20 http://good.test/
git clone --quiet http://git.test/project.git project
cat project/README
npm install --silent --registry=http://registry.test:8080/ --fetch-retries=0 --no-audit --no-fund --no-update-notifier tiny
grep -o '"name":"tiny"' node_modules/tiny/package.json
`;

async function session(name: string) {
  const { exitCode, stdout, stderr } = await lab.podman(["exec", name, "sh", "-c", SESSION]);
  return { exitCode, stdout, stderr };
}

const PASSED = {
  exitCode: 0,
  stdout: expect.stringMatching(/^reached [\d.:a-f]+\ncloned\n"name":"tiny"\n$/),
  stderr: expect.any(String),
};

function profileFile(name: string): string {
  return `${lab.user.home}/.config/terok/shield/profiles/${name}.txt`;
}

async function profileLines(name: string): Promise<string[]> {
  const text = await readFile(lab.path(profileFile(name)), "utf8");
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

/** How a difference shows what is in force and was used. */
function used(entry: string): string {
  return ` ${entry}`;
}

/** The session's own doors, each a port or a name away from what it used. */
const WIDER = [
  ...["tcp,198.18.0.10,8080", "tcp,198.18.0.10,443", "tcp,198.18.3.2,80", "tcp,198.18.3.3,8080"],
  ...["udp,198.18.0.10,443", "tcp,198.18.0.11,80", "tcp,198.18.66.66,80", "tcp,2001:2::6666,80"],
];
const PRIVATE = "tcp,10.77.0.7,80";

test("what passed in bypass passes after learn --write and up, and nothing wider does", async () => {
  const web: ShieldedContainer = await startShielded(lab, "web", "# mine\nother.test\n");
  expect(await session("web")).toMatchObject({ exitCode: 6, stdout: "" });
  await web.mustShield("down");
  expect(await session("web")).toEqual(PASSED);
  // Looked up, and never connected to.
  expect(await web.client.resolve("api.good.test")).toContain("198.18.0.11");
  expect(await web.see(PRIVATE)).toEqual({ [PRIVATE]: "refused" });

  const proposal = await web.mustShield("learn");
  const added = proposal.split("\n").filter((line) => line.startsWith("+") && !line.startsWith("+++"));
  expect(added).toEqual([
    "+git.test:80/tcp",
    "+good.test:80/tcp",
    "+registry.test:8080/tcp",
    "+files.registry.test:80/tcp",
  ]);
  expect(proposal).toContain("# 10.77.0.7:80/tcp  # once: a private address: of your own network");
  expect(await profileLines("web")).toEqual(["other.test"]);

  const written = await web.mustShield("learn", "--write");
  expect(written).toContain("web is still in bypass. To end it: terok-shield up web\n");
  const inForce = [
    "git.test:80/tcp",
    "good.test:80/tcp",
    "registry.test:8080/tcp",
    "files.registry.test:80/tcp",
  ];
  expect(await profileLines("web")).toEqual(["other.test", ...inForce]);
  // Positive controls: in bypass everything but the private address is there.
  expect(await web.see(...WIDER)).toEqual(all(WIDER, "open"));
  await web.mustShield("up");
  expect(await web.status()).toMatchObject({ kind: "up" });

  expect(await session("web")).toEqual(PASSED);
  await lab.internet.reset();
  expect(await web.see(...WIDER, PRIVATE)).toEqual(all([...WIDER, PRIVATE], "refused"));
  expect(await web.client.resolve("api.good.test")).toEqual([]);
  expect(await web.client.resolve("www.registry.test")).toEqual([]);
  expect((await lab.internet.arrivals()).filter(({ port }) => port !== 53)).toEqual([]);
  expect(await lab.internet.dnsQueries()).toEqual([]);
  const { stdout } = await web.shield("explain", "good.test:80/tcp");
  expect(stdout).toContain(`(profile web, ${profileFile("web")}:`);

  // A later start takes them from the file.
  await web.mustShield("restart", "--", "--time=0");
  await web.reconnect();
  expect(await session("web")).toEqual(PASSED);
  expect(await web.see(...WIDER, PRIVATE)).toEqual(all([...WIDER, PRIVATE], "refused"));
  // What is in force is not proposed again.
  const again = (await web.mustShield("learn", "--since", "10m")).split("\n");
  expect(again.filter((line) => inForce.includes(line.slice(1))).sort()).toEqual(inForce.map(used).sort());
  await web.remove();
});

test("three names below one parent become a wildcard, a hostile name a comment, and another profile is not taken up untold", async () => {
  for (const label of ["one", "two", "three", "four"]) {
    await lab.internet.setName(`${label}.family.test`, { addresses: ["198.18.3.9"] });
  }
  const web = await startShielded(lab, "family", "");
  await lab.user.writeFile(profileFile("others"), "# of others\n198.18.0.0/16\n");
  await web.mustShield("down");
  const tried = ["one", "two", "three"].map((label) => `tcp,${label}.family.test,80`);
  for (const target of tried) expect(await web.client.attempt(target)).toEqual(["answered"]);
  await web.client.resolve("*.evil.test");
  await web.client.attempt("tcp,*.evil.test,80");

  const untold = await web.shield("learn", "--profile", "others", "--write");
  expect(untold).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("say --yes") });
  expect((await web.shield("learn", "--profile", "base", "--write")).exitCode).toBe(2);

  await web.mustShield("learn", "--profile", "learned", "--write");
  await web.mustShield("up");
  expect(await profileLines("learned")).toEqual(["*.family.test:80/tcp"]);
  expect(await readFile(lab.path(profileFile("learned")), "utf8")).toContain(
    "# wider than what was seen: one.family.test three.family.test two.family.test\n*.family.test:80/tcp\n",
  );
  expect(await web.client.attempt(...tried, "tcp,four.family.test,80")).toEqual(Array(4).fill("answered"));
  expect(await web.see("tcp,198.18.3.9,443", "tcp,198.18.66.66,80")).toEqual(
    all(["tcp,198.18.3.9,443", "tcp,198.18.66.66,80"], "refused"),
  );
  await web.remove();
});
