import {
  type EgressPolicy,
  parseIpRange,
  renderRulesetInParts,
} from "../../packages/nft-ruleset/src/index.ts";
import { type BenchLab, sleeping, timeCommands, writeProfile } from "./bench-lab.ts";
import { type Figure, median, type Section } from "./figure.ts";

const SIZES = [10, 1_000, 10_000, 100_000];
const PACKETS = 200_000;
const POLICY: EgressPolicy = {
  revision: 1,
  allow: [],
  deny: [],
  learned: { kind: "by-resolver", timeoutSeconds: 7200, scopes: [], queryGeneration: 1, flowGeneration: 1 },
  reserved: [],
  published: [],
};

/** Sends UDP packets, and prints how many nanoseconds one takes. */
const SEND = `
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect(("198.18.1.1", 9))
count = int(sys.argv[1])
for _ in range(count // 10): sock.send(b"x")
began = time.perf_counter_ns()
for _ in range(count): sock.send(b"x")
print((time.perf_counter_ns() - began) / count)
`;

/** Rules alone, in a network namespace whose wire ends at nobody: load, then send through them. */
const LOAD_AND_SEND = `
set -e
ip link add wire0 type veth peer name wire1
ip address add 198.18.255.1/15 dev wire0
ip link set wire0 up
ip link set wire1 up
ip neighbour add 198.18.1.1 lladdr 02:00:00:00:00:99 dev wire0
began=$(date +%s%N)
for part in "$1".*; do [ "$part" = "none.*" ] || nft -f "$part"; done
ended=$(date +%s%N)
echo "$(((ended - began) / 1000)) $(python3 -c "$2" "$3")"
`;

/** Policies of many addresses, none beside another, so that none are merged. */
export async function measureRules(bench: BenchLab): Promise<Section> {
  const { lab, rounds } = bench;
  for (const size of SIZES) {
    await writeProfile(lab, `rules-${size}`, addresses(size));
  }
  const prepared = await timeCommands(
    { lab, rounds: Math.min(rounds, 5) },
    SIZES.map((size) => ({
      name: `prepare ${size}`,
      command: ["terok-shield", "prepare", `rules-${size}`, "--profiles", `rules-${size}`],
    })),
  );
  const generated = SIZES.map(
    (size): Figure => ({
      name: `generate ${size}`,
      unit: "ms",
      values: Array.from({ length: rounds }, () => generateMilliseconds(size)),
    }),
  );
  for (const size of SIZES) {
    const file = `${lab.user.home}/.local/state/terok/shield/containers/rules-${size}/ruleset.nft`;
    const transactions = (await lab.user.mustRun("cat", [file])).split("# next transaction\n");
    for (const [index, text] of transactions.entries()) {
      await lab.user.writeFile(`/tmp/rules-${size}.${String(index).padStart(3, "0")}`, text);
    }
  }
  const names = ["none", ...SIZES.map(String)];
  const loads = new Map<string, number[]>(names.map((name) => [name, []]));
  const sends = new Map<string, number[]>(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) {
      const file = name === "none" ? "none" : `/tmp/rules-${name}`;
      const script = ["sh", "-c", LOAD_AND_SEND, "sh", file, SEND, String(PACKETS)];
      const out = await lab.user.mustRun("unshare", ["--user", "--map-root-user", "--net", ...script], {
        timeoutMs: 300_000,
      });
      const [loadMicroseconds = 0, sendNanoseconds = 0] = out.trim().split(" ").map(Number);
      loads.get(name)?.push(loadMicroseconds / 1000);
      sends.get(name)?.push(sendNanoseconds / 1000);
    }
  }
  const byName = (values: Map<string, number[]>, name: string) => values.get(name) ?? [];
  const loaded = SIZES.map(
    (size): Figure => ({ name: `load ${size}`, unit: "ms", values: byName(loads, String(size)) }),
  );
  const whole: Figure = {
    name: "generate and load 100000, medians",
    unit: "ms",
    values: [median(generated.at(-1)?.values ?? []) + median(loaded.at(-1)?.values ?? [])],
    target: { most: 1200 },
  };
  return {
    title: "Rules",
    about:
      "Allowed IPv4 addresses, none beside another. `prepare` is the whole command: profile, state, rules and their listing. To generate is addresses in, nft text out, in one process; to load is `nft -f` of each transaction into an empty network namespace. A packet is a `send` of UDP from Python to an allowed address, through the rules to a wire at whose end nobody takes it, in µs.",
    figures: [
      ...prepared,
      ...generated,
      ...loaded,
      whole,
      ...names.map(
        (name): Figure => ({
          name: name === "none" ? "µs a packet, no rules" : `µs a packet, ${name}`,
          unit: "",
          values: byName(sends, name),
          ...(name === "100000" ? { against: "µs a packet, 10", target: { most: 1.05 } } : {}),
        }),
      ),
      ...(await measureOneMore(bench)),
    ],
  };
}

function generateMilliseconds(size: number): number {
  const texts = addresses(size);
  const began = performance.now();
  const allow = texts.map((text) => ({ range: parseIpRange(text) }));
  renderRulesetInParts({ ...POLICY, allow }, { kind: "up" });
  return performance.now() - began;
}

/** One more address for a running container that has many. */
async function measureOneMore(bench: BenchLab): Promise<Figure[]> {
  const { lab } = bench;
  for (const size of [10, 10_000]) {
    const words = ["run", `many-${size}`, "--profiles", `rules-${size}`, "--", "-d", ...sleeping(lab)];
    await lab.user.mustRun("terok-shield", words);
  }
  const figures = await timeCommands(bench, [
    { name: "allow one more of 10", command: ["terok-shield", "allow", "many-10", "198.18.9.{n}"] },
    {
      name: "allow one more of 10000",
      command: ["terok-shield", "allow", "many-10000", "198.18.9.{n}"],
      against: "allow one more of 10",
    },
  ]);
  const [few, many] = figures.map(({ values }) => values);
  return [
    ...figures,
    {
      name: "what 10000 cost there",
      unit: "ms",
      values: (many ?? []).map((value, round) => value - (few?.[round] ?? Number.NaN)),
      target: { most: 100 },
    },
  ];
}

/** The one that packets are sent to, and others. */
function addresses(size: number): string[] {
  return ["198.18.1.1", ...Array.from({ length: size - 1 }, (_, index) => address(index * 2))];
}

/** Of 11.0.0.0/8 and what follows. */
function address(index: number): string {
  const number = (11 << 24) + index;
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join(".");
}
