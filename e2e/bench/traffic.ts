import { readFile } from "node:fs/promises";
import { execa } from "execa";
import { until } from "../src/lab/until.ts";
import { type BenchLab, PLAIN_NETWORK, sleeping, writeProfile } from "./bench-lab.ts";
import type { Figure, Section } from "./figure.ts";

const THROUGHPUT_SECONDS = 2;
const CONNECTION_SECONDS = 1;
const QUERIES = 150;
const SERVERS = { IPv4: "198.18.1.1", IPv6: "2001:2::aaaa" };
/** The least that a firewall can do which tells replies from what is new. */
const STATEFUL_RULES =
  "table inet least { chain output { type filter hook output priority filter; policy drop; ct state new,established,related,untracked accept; }; }";
const NO_WORSE = { throughput: { least: 0.97 }, connections: { least: 0.9 } };

type Container = "open" | "stateful" | "guarded";

/** The same from a shielded container, from one without, and from one with a single rule, in turn. */
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
  for (const name of ["open", "stateful"])
    await lab.user.mustRun("podman", ["run", "-d", "--name", name, ...PLAIN_NETWORK, ...sleeping(lab)]);
  const pid = (
    await lab.user.mustRun("podman", ["inspect", "--format", "{{.State.Pid}}", "stateful"])
  ).trim();
  const enter = ["unshare", "nsenter", `--net=/proc/${pid}/ns/net`, "nft", STATEFUL_RULES];
  await lab.user.mustRun("podman", enter);
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
    measure: (container: Container) => Promise<number>,
    { target, others = [] }: { target?: Figure["target"]; others?: readonly Container[] } = {},
  ): Promise<void> {
    const containers: readonly Container[] = ["open", ...others, "guarded"];
    const values = new Map(containers.map((container) => [container, [] as number[]]));
    for (let round = 0; round < rounds; round += 1) {
      // Back and forth, so that none has always been the first.
      for (const container of round % 2 === 0 ? containers : containers.toReversed())
        values.get(container)?.push(await measure(container));
    }
    const without = `${name}, no shield`;
    const names = { open: without, stateful: `${name}, one stateful rule`, guarded: name };
    figures.push(
      ...[...values].map(([container, each]) => ({
        name: names[container],
        unit,
        values: each,
        ...(container === "open" ? {} : { against: without }),
        ...(container === "guarded" && target !== undefined ? { target } : {}),
      })),
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
                String(THROUGHPUT_SECONDS),
                "--json",
              ],
            );
            const { error, end } = JSON.parse(out);
            if (error !== undefined) throw new Error(`iperf3 in ${container}: ${error}`);
            return end.sum_received.bits_per_second / 1e9;
          },
          { target: NO_WORSE.throughput, others: ["stateful"] },
        );
        await compare(
          `connections, ${what}`,
          "/s",
          (container) => ask(container, "connect", server, "9000", String(flows), String(CONNECTION_SECONDS)),
          { target: NO_WORSE.connections },
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
    about: `From a container through slirp4netns to the lab's internet: throughput by iperf3 for ${THROUGHPUT_SECONDS} s, connections one after the other in as many threads as flows, ${QUERIES} queries one after the other. One stateful rule accepts everything, and shows what the kernel's connection tracking costs by itself.`,
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
