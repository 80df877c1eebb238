import { readFile } from "node:fs/promises";
import { execa } from "execa";
import { until } from "../src/lab/until.ts";
import { type BenchLab, PLAIN_NETWORK, sleeping, writeProfile } from "./bench-lab.ts";
import type { Figure, Section } from "./figure.ts";

const SECONDS = 1;
const QUERIES = 150;
const SERVERS = { IPv4: "198.18.1.1", IPv6: "2001:2::aaaa" };
const NO_WORSE = { throughput: { least: 0.97 }, connections: { least: 0.9 } };

/** The same from a shielded container and from one without, in turn. */
export async function measureTraffic({ lab, rounds }: BenchLab): Promise<Section> {
  await writeProfile(lab, "traffic", [...Object.values(SERVERS), "good.test"]);
  await lab.user.mustRun("terok-shield", [
    "run",
    "guarded",
    "--profiles",
    "traffic",
    "--",
    "-d",
    ...sleeping(lab),
  ]);
  await lab.user.mustRun("podman", ["run", "-d", "--name", "open", ...PLAIN_NETWORK, ...sleeping(lab)]);
  const stop = await startIperf(lab.path("/run/lab/internet"));
  const client = await readFile(new URL("traffic-client.py", import.meta.url), "utf8");
  const inside = (container: string, ...command: string[]) =>
    lab.user.mustRun("podman", ["exec", container, ...command], { timeoutMs: 120_000 });
  const ask = async (container: string, ...words: string[]) =>
    Number(await inside(container, "python3", "-c", client, ...words));
  const figures: Figure[] = [];

  async function compare(
    name: string,
    unit: Figure["unit"],
    measure: (container: "open" | "guarded") => Promise<number>,
    target?: Figure["target"],
  ): Promise<void> {
    const open: number[] = [];
    const guarded: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      open.push(await measure("open"));
      guarded.push(await measure("guarded"));
    }
    figures.push(
      { name: `${name}, no shield`, unit, values: open },
      {
        name,
        unit,
        values: guarded,
        against: `${name}, no shield`,
        ...(target === undefined ? {} : { target }),
      },
    );
  }

  try {
    for (const [family, server] of Object.entries(SERVERS)) {
      for (const flows of [1, 64]) {
        const what = `${family}, ${flows} ${flows === 1 ? "flow" : "flows"}`;
        await compare(
          `throughput, ${what}`,
          "Gbit/s",
          async (container) => {
            const out = await inside(
              container,
              ...[
                "iperf3",
                "--client",
                server,
                "--parallel",
                String(flows),
                "--time",
                String(SECONDS),
                "--json",
              ],
            );
            return JSON.parse(out).end.sum_received.bits_per_second / 1e9;
          },
          NO_WORSE.throughput,
        );
        await compare(
          `connections, ${what}`,
          "/s",
          (container) => ask(container, "connect", server, "9000", String(flows), String(SECONDS)),
          NO_WORSE.connections,
        );
      }
    }
    await compare("DNS queries, dnsmasq against the network's own", "/s", (container) =>
      ask(
        container,
        "resolve",
        container === "open" ? "10.0.2.3" : "127.0.0.1",
        "good.test",
        String(QUERIES),
      ),
    );
  } finally {
    stop();
  }
  return {
    title: "Traffic",
    about: `From a container through slirp4netns to the lab's internet: throughput by iperf3 for ${SECONDS} s, connections one after the other in as many threads as flows, ${QUERIES} queries one after the other.`,
    figures,
  };
}

/** On the lab's internet; every address there is its own. */
async function startIperf(namespace: string): Promise<() => void> {
  const server = execa("nsenter", [`--net=${namespace}`, "iperf3", "--server"], { reject: false });
  await until("iperf3 listens", async () => {
    const { stdout } = await execa("nsenter", [`--net=${namespace}`, "ss", "-Hltn", "sport = :5201"]);
    return stdout !== "";
  });
  return () => server.kill("SIGKILL");
}
