import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { lstat, readFile, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openPage, type ShownPage } from "../src/lab/browser.ts";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { until } from "../src/lab/until.ts";
import { installedShield } from "./installed-shield.ts";
import { eventsOf } from "./shield-events.ts";
import { type ShieldedContainer, startShielded } from "./shielded-container.ts";

const PROBE = await readFile(new URL("../src/lab/event-probe.py", import.meta.url), "utf8");
const PROMTOOL = fileURLToPath(new URL("../.tools/promtool", import.meta.url));

const PROFILE = `
good.test
198.18.1.1
198.18.9.0/24
`;

interface Stats {
  readonly container: string;
  readonly status: { readonly kind: string };
  readonly tier: string;
  readonly revision: number;
  readonly mode: string;
  readonly uptimeSeconds?: number;
  readonly counted: {
    readonly isLive: boolean;
    readonly traffic: {
      readonly allowedConnections: number;
      readonly bypassedConnections: number;
      readonly refusedPackets: Readonly<Record<"blocked" | "denied" | "private", number>>;
      readonly dns: Readonly<Record<"asked" | "answered" | "missing" | "refused" | "overLimit", number>>;
    };
  };
  readonly sets: readonly { readonly name: string; readonly elements: number; readonly limit?: number }[];
}

let lab: Lab;
let web: ShieldedContainer;
beforeAll(async () => {
  lab = await createLab({ shieldPrefix: installedShield() });
  web = await startShielded(lab, "web", PROFILE);
});
afterAll(() => lab?.destroy());

/** Runs the probe in the container; gives what came of each line. */
async function probe(...lines: readonly (readonly unknown[])[]): Promise<string[]> {
  const stdin = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  const { stdout } = await lab.podman(["exec", "--interactive", "web", "python3", "-c", PROBE], { stdin });
  return stdout.trim().split("\n");
}

const ask = (...labels: readonly string[]) =>
  probe(["dns", labels.map((label) => Buffer.from(label).toString("base64")), 1]);

const times = (count: number, line: readonly unknown[]) => Array.from({ length: count }, () => line);

async function stats(): Promise<Stats> {
  const [only] = JSON.parse(await web.mustShield("stats", "--json")) as Stats[];
  if (only === undefined) throw new Error("stats gave nothing");
  return only;
}

describe("stats", () => {
  test("count what passed and what was refused, to the last packet", async () => {
    await web.mustShield("deny", "198.18.9.0/24");
    const { counted: before } = await stats();
    await probe(
      ...times(7, ["udp", "198.18.66.66", 4000]),
      ...times(4, ["udp", "2001:2::66", 4000]),
      ...times(3, ["udp", "198.18.9.9", 4000]),
      ...times(2, ["udp", "10.77.0.7", 4000]),
      ...times(5, ["tcp", "198.18.1.1", 80]),
    );
    const { counted, ...rest } = await stats();
    const { allowedConnections, bypassedConnections, refusedPackets } = before.traffic;
    expect(counted).toMatchObject({
      isLive: true,
      traffic: {
        allowedConnections: allowedConnections + 5,
        bypassedConnections,
        refusedPackets: {
          blocked: refusedPackets.blocked + 11,
          denied: refusedPackets.denied + 3,
          private: refusedPackets.private + 2,
        },
      },
    });
    expect(rest).toMatchObject({
      ...{ container: "web", status: { kind: "up" }, tier: "dnsmasq", mode: "up", revision: 2 },
    });
    expect(rest.uptimeSeconds).toBeGreaterThanOrEqual(0);
    expect(rest.uptimeSeconds).toBeLessThan(600);
  });

  test("count what the resolver answered and what it refused, by what it said", async () => {
    const { counted: before } = await stats();
    for (const [name, said, count] of [
      [["good", "test"], "rcode 0", 3],
      // Below a name that is allowed alone.
      [["api", "good", "test"], "rcode 3", 2],
      [["evil", "test"], "rcode 5", 4],
    ] as const) {
      for (let nth = 0; nth < count; nth++) expect(await ask(...name)).toEqual([said]);
    }
    const { asked, answered, missing, refused, overLimit } = before.traffic.dns;
    expect((await stats()).counted.traffic.dns).toEqual({
      ...{ asked: asked + 9, answered: answered + 3, missing: missing + 2, refused: refused + 4, overLimit },
    });
  });

  test("tell how full the kernel's sets are, and how full they can get", async () => {
    expect(await ask("good", "test")).toEqual(["rcode 0"]);
    const { sets } = await stats();
    expect(sets).toEqual(
      expect.arrayContaining([
        { name: "dns_v4", elements: 1, limit: 65536 },
        { name: "dns_v6", elements: 0, limit: 65536 },
        { name: "deny_v4", elements: 1 },
        { name: "allow_v4", elements: 2 },
      ]),
    );
  });

  test("are metrics that promtool finds no fault with, and that say the same", async () => {
    const { counted } = await stats();
    const metrics = await web.mustShield("stats", "--prometheus");
    const checked = spawnSync(PROMTOOL, ["check", "metrics"], { input: metrics, encoding: "utf8" });
    expect([checked.status, checked.stdout, checked.stderr]).toEqual([0, "", ""]);
    // It finds one where there is one.
    const wrong = metrics.replaceAll("terok_shield_connections_total", "terok_shield_connections");
    expect(spawnSync(PROMTOOL, ["check", "metrics"], { input: wrong }).status).not.toBe(0);
    const { blocked } = counted.traffic.refusedPackets;
    expect(metrics).toContain(
      `terok_shield_refused_packets_total{container="web",reason="blocked"} ${blocked}\n`,
    );
    expect(metrics).toContain('terok_shield_state{container="web",state="up"} 1\n');
  });

  test("are a table for people, and an error for a container that is not there", async () => {
    const { counted } = await stats();
    const table = await web.mustShield("stats");
    expect(table).toMatch(/^NAME +STATE +UP +ALLOWED/);
    expect(table).toMatch(new RegExp(`^web +up .* ${counted.traffic.refusedPackets.denied} `, "m"));
    const { exitCode, stderr } = await lab.shield(["stats", "nobody"]);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("There is no shielded container nobody")]);
  });
});

describe("the report", () => {
  const HOSTILE = "<img/src=x/onerror=alert(1)>";
  let directory: string;
  let file: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "report-"));
    file = join(directory, "report.html");
    expect(await ask(HOSTILE, "evil", "test")).toEqual(["rcode 5"]);
    await ask("plain", "evil", "test");
    await until("the names are events", async () =>
      (await eventsOf(lab, "web")).some(({ name }) => name === "plain.evil.test"),
    );
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  async function withPage(look: (page: ShownPage) => Promise<void>): Promise<void> {
    writeFileSync(file, await web.mustShield("report"));
    const page = await openPage(file);
    try {
      await look(page);
    } finally {
      await page.close();
    }
  }

  test("shows in a browser what was reached, refused and decided, and names as the text that they are", async () => {
    await withPage(async (page) => {
      const text = String(await page.evaluate("document.body.innerText"));
      for (const part of [HOSTILE, "plain.evil.test", "198.18.66.66", "198.18.1.1", "10.77.0.7"]) {
        expect(text).toContain(part);
      }
      expect(text).toMatch(/deny 198\.18\.9\.0\/24/);
      expect(await page.evaluate("document.title")).toBe("web: what it reached and what was refused");
      expect(await page.evaluate("document.querySelectorAll('main img, script, iframe').length")).toBe(0);
      expect(await page.evaluate("document.querySelectorAll('svg rect.blocked').length")).toBeGreaterThan(1);
    });
  });

  test("asks nobody for anything, and the browser has no complaint", async () => {
    await withPage(async (page) => {
      await page.show({ width: 1200, colours: "light" });
      await page.screenshot();
      expect(page.requests).toEqual([`file://${file}`]);
      expect(page.complaints).toEqual([]);
      // A page that could be made to ask would be seen to, and its own policy stops it.
      await page.evaluate(
        "document.body.append(Object.assign(new Image(), { src: 'file:///etc/hostname' }))",
      );
      await until("the browser complains", async () => page.complaints.length > 0);
      expect(page.complaints.join()).toContain("Content Security Policy");
    });
  });

  test.each(["light", "dark"] as const)("fits a phone's screen in %s colours", async (colours) => {
    await withPage(async (page) => {
      await page.show({ width: 360, colours });
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
      // Nor has a table to be moved to be read, but for the numbers behind the picture.
      expect(
        await page.evaluate(
          "[...document.querySelectorAll('.scroll:not(details *)')].filter((one) => one.scrollWidth > one.clientWidth).length",
        ),
      ).toBe(0);
      const [ground, ink] = (await page.evaluate(
        "['backgroundColor', 'color'].map((name) => Number(/\\d+/.exec(getComputedStyle(document.body)[name])))",
      )) as number[];
      expect(Math.sign(Number(ground) - Number(ink))).toBe(colours === "light" ? 1 : -1);
      // An empty page of that size takes a few thousand bytes.
      expect((await page.screenshot()).length).toBeGreaterThan(25_000);
    });
  });

  test("goes to a file that only its owner reads, in place of a link and not through it", async () => {
    const target = `${lab.user.home}/report.html`;
    await lab.user.writeFile(`${lab.user.home}/other`, "untouched");
    await symlink("other", lab.path(target));
    await web.mustShield("report", "-o", target);
    const found = await lstat(lab.path(target));
    expect([found.isFile(), found.mode & 0o777, found.uid]).toEqual([true, 0o600, lab.user.uid]);
    expect(await readFile(lab.path(target), "utf8")).toMatch(/^<!doctype html>\n.*<\/html>\n$/s);
    expect(await readFile(lab.path(`${lab.user.home}/other`), "utf8")).toBe("untouched");
    const { exitCode, stderr } = await web.shield("report", "-o", "/nowhere/report.html");
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("cannot be written")]);
  });

  test("does not go to a terminal", async () => {
    const { exitCode, stdout } = await lab.shield(["report", "web"], { tty: true });
    expect([exitCode, stdout]).toEqual([2, expect.stringContaining("-o web.html")]);
  });

  test("tells of the time that it is asked for", async () => {
    const page = await web.mustShield("report", "--since", "1s");
    expect(page).not.toContain("198.18.66.66");
    expect(page).toContain("Policy in force");
  });

  test("and the stats are there when the container has ended, with the counts of its last run", async () => {
    const { counted: live } = await stats();
    await lab.user.mustRun("podman", ["stop", "--time=0", "web"]);
    await until("the last counts are written down", async () => {
      const { counted } = await stats();
      return (
        !counted.isLive && counted.traffic.refusedPackets.blocked === live.traffic.refusedPackets.blocked
      );
    });
    expect((await stats()).status).toEqual({ kind: "stopped" });
    expect(await web.mustShield("report")).toContain("198.18.66.66");
  });
});
