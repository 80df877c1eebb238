import { type BenchLab, sleeping, timeCommands, writeProfile } from "./bench-lab.ts";
import type { Section } from "./figure.ts";

const TWICE = { against: "node -e 0", target: { most: 2 } };

/** Commands of the operator, on a container that runs. */
export async function measureCommands(bench: BenchLab): Promise<Section> {
  const { lab } = bench;
  await writeProfile(lab, "bench", ["198.18.1.1", "good.test"]);
  await lab.user.mustRun("terok-shield", ["run", "web", "--profiles", "bench", "--", "-d", ...sleeping(lab)]);
  const shield = (...words: string[]) => ["terok-shield", ...words];
  const up = [shield("up", "web")];
  return {
    title: "Commands",
    about:
      "Each as a whole process. `web` runs in the dnsmasq tier; `allow` and `deny` are given an address that is new each time. `up`, `down` and `allow` of a name wait until dnsmasq follows.",
    figures: await timeCommands(bench, [
      { name: "node -e 0", command: ["node", "-e", "0"] },
      { name: "podman inspect", command: ["podman", "inspect", "web"], against: "node -e 0" },
      { name: "--help", command: shield("--help"), against: "node -e 0", target: { most: 1.3 } },
      { name: "allow ADDRESS", command: shield("allow", "web", "198.18.9.{n}"), ...TWICE },
      { name: "deny ADDRESS", command: shield("deny", "web", "198.18.8.{n}"), ...TWICE },
      { name: "allow NAME", command: shield("allow", "web", "n{n}.wild.test"), against: "node -e 0" },
      { name: "down", command: shield("down", "web"), ...TWICE },
      { name: "up", command: shield("up", "web"), ...TWICE },
      { name: "block", command: shield("block", "web"), after: up, ...TWICE },
      { name: "status", command: shield("status", "web"), ...TWICE },
      { name: "logs -n 10", command: shield("logs", "--container", "web", "-n", "10"), against: "node -e 0" },
      { name: "explain ADDRESS", command: shield("explain", "web", "198.18.1.1"), against: "node -e 0" },
      {
        name: "prepare",
        command: shield("prepare", "other", "--profiles", "bench"),
        against: "node -e 0",
        target: { most: 2.5 },
      },
    ]),
  };
}
