import { readFile } from "node:fs/promises";
import { createLab, type Lab } from "../src/lab/lab.ts";
import { PLATFORM, shieldConfig } from "../src/lab/platform.ts";
import { until } from "../src/lab/until.ts";
import { eventsOf, type ShieldEvent } from "../tests/shield-events.ts";
import { type ShieldedContainer, startShielded } from "../tests/shielded-container.ts";
import { tapWire } from "./wiretap.ts";

/**
 * Where an attacker's program runs:
 * - "shielded": as root of a shielded container, as any attacker;
 * - "armed": the same with every capability, which its owner alone can give: the rules have to hold by themselves;
 * - "control": as root of a container without a shield, with every capability;
 * - "host": as the owner on the host, outside of any container.
 */
type Place = "shielded" | "armed" | "control" | "host";

/** What one run of a program came to. */
export interface Course {
  /** What the attacker saw of each step: "done", "sent", "answered", "silence", or an errno by name. */
  readonly steps: Readonly<Record<string, string>>;
  /** What left the container by its wire or reached the internet: "udp 198.18.66.66 9000". */
  readonly left: readonly string[];
  /** The names that name servers were asked for. */
  readonly asked: readonly string[];
}

interface Program {
  readonly program: string;
  readonly args?: readonly string[];
  /** What is expected of it. */
  readonly steps: Readonly<Record<string, string>>;
}

/** Runs the programs of standard input, without an interpreter for each, up to the first step that is not as expected. */
const ONE_AFTER_THE_OTHER = `
import json, os, sys
prelude, programs = json.load(sys.stdin)
for program, text, args, steps in programs:
    if os.fork() == 0:
        sys.argv, names = ["-c", *args], {"__name__": "__main__"}
        def tell(what, outcome):
            print(json.dumps([f"{program}: {what}", outcome]), flush=True)
            if steps.get(what) != outcome:
                os._exit(1)
        exec(prelude, names)
        names["tell"] = tell
        exec(text, names)
        os._exit(0)
    if os.wait()[1] != 0:
        break
`;

export interface AttackLab {
  readonly lab: Lab;
  readonly target: ShieldedContainer;
  attack(
    place: Place,
    program: string,
    args?: readonly string[],
    afterFirstStep?: () => Promise<void>,
  ): Promise<Course>;
  /** Several in one go, up to the first step that is not as expected. The steps have the program's name before them. */
  attackAll(place: Place, programs: readonly Program[]): Promise<Course>;
  /** What the shield tells of what it refused since then, or since the last attack began: "blocked udp 198.18.66.66 9000". */
  refusals(since?: string): Promise<string[]>;
  destroy(): Promise<void>;
}

/** How the shielded container is started, beside its profile. */
interface TargetOptions {
  readonly config?: string;
  readonly podmanArguments?: readonly string[];
}

/** All that the shielded container may reach. */
const PROFILE = `
good.test
198.18.1.1
2001:2::aaaa
198.18.1.2:80/tcp
[2001:2::bbbb]:80/tcp
v4only.test:80/tcp
v6only.test:80/tcp
*.wild.test
*.rebind.test
`;

const TARGET = "target";
const CONTROL = "control";
const CONTAINERS = { shielded: TARGET, armed: TARGET, control: CONTROL };
const SLEEP = ["sh", "-c", "trap exit TERM; sleep infinity & wait"];

export async function createAttackLab(
  shieldPrefix: string,
  { config = shieldConfig(), podmanArguments = [] }: TargetOptions = {},
): Promise<AttackLab> {
  const lab = await createLab({ shieldPrefix });
  try {
    await lab.user.writeFile(`${lab.user.home}/.config/terok/shield/config.yml`, config);
    const target = await startShielded(lab, TARGET, PROFILE, podmanArguments);
    await lab.user.mustRun("podman", [
      ...["run", "-d", "--name", CONTROL, PLATFORM.network.optionWithHost],
      ...["--cap-add", "all", "--security-opt", "seccomp=unconfined", "--device", "/dev/net/tun"],
      ...[...lab.imageArgs, ...SLEEP],
    ]);
    await lab.internet.setName("udp.test", { addresses: ["198.18.1.1", "2001:2::aaaa"] });
    const taps = { shielded: await tapWire(lab, TARGET), control: await tapWire(lab, CONTROL) };
    const { resolver, device, broadcast } = PLATFORM.network;
    const prelude = [
      await readFile(new URL("attacker.py", import.meta.url), "utf8"),
      `UPSTREAM, DEVICE, BROADCAST = ${JSON.stringify([resolver, device, broadcast])}`,
    ].join("\n");
    let began = new Date().toISOString();

    const readProgram = (program: string) => readFile(new URL(program, import.meta.url), "utf8");

    async function runInTwo(file: string, args: readonly string[], between: () => Promise<void>) {
      const running = await lab.user.spawn(file, args);
      await running.waitForOutput("\n");
      await between();
      running.stdin.write("\n");
      return running.finished;
    }

    /** What a program of Python does there, and what comes of it. */
    async function follow(
      place: Place,
      python: readonly string[],
      stdin: string,
      afterFirstStep?: () => Promise<void>,
    ): Promise<Course> {
      const tap = place === "host" ? undefined : taps[place === "control" ? "control" : "shielded"];
      await lab.internet.reset();
      await tap?.read();
      began = new Date().toISOString();
      const exec = ["podman", "exec", "--interactive", ...(place === "armed" ? ["--privileged"] : [])];
      const enter = place === "host" ? [] : [...exec, CONTAINERS[place]];
      const [file = "", ...rest] = [...enter, "python3", ...python];
      const { stdout, stderr } =
        afterFirstStep === undefined
          ? await lab.user.run(file, rest, { stdin })
          : await runInTwo(file, rest, afterFirstStep);
      if (stderr !== "") throw new Error(`The attack failed:\n${stderr}`);
      const steps = stdout
        .split("\n")
        .filter((line) => line !== "")
        .map((line): [string, string] => JSON.parse(line));
      const arrivals = (await lab.internet.arrivals()).map(({ protocol, address, port }) =>
        [protocol, address, port].filter((part) => part !== undefined).join(" "),
      );
      const asked = (await lab.internet.dnsQueries()).map(({ name }) => name.replace(RANDOM_LABEL, "*."));
      return {
        steps: Object.fromEntries(steps),
        left: [...new Set([...((await tap?.read()) ?? []), ...arrivals])].filter(isOfInterest).sort(),
        asked: [...new Set(asked)].sort(),
      };
    }

    return {
      lab,
      target,
      async attack(place, program, args = [], afterFirstStep = undefined) {
        return follow(
          place,
          ["-c", `${prelude}\n${await readProgram(program)}`, ...args],
          "",
          afterFirstStep,
        );
      },
      async attackAll(place, programs) {
        const texts = programs.map(async ({ program, args = [], steps }) => {
          return [program, await readProgram(program), args, steps];
        });
        const stdin = JSON.stringify([prelude, await Promise.all(texts)]);
        return follow(place, ["-c", ONE_AFTER_THE_OTHER], stdin);
      },
      async refusals(since = began) {
        // A query that is refused on purpose comes last, so all that was before it is in the log.
        const last = `last-${Math.random().toString(36).slice(2)}.evil.test`;
        await target.client.resolve(last);
        await target.client.attempt(`udp,${LAST},9`);
        let events: ShieldEvent[] = [];
        await until("the log has come to the end", async () => {
          events = (await eventsOf(lab, TARGET)).filter(
            ({ ts, action }) => ts >= (action === "name" ? second(since) : since),
          );
          return events.some(({ address }) => address === LAST);
        });
        return [
          ...new Set(
            events
              .filter(
                ({ address, name, verdict }) =>
                  address !== LAST && !name?.startsWith("last-") && isRefusal(verdict),
              )
              .map(({ action, verdict, protocol, address, port, name, queryType }) =>
                action === "name"
                  ? `name ${name} ${queryType}`
                  : [verdict, protocol, address, port].filter((part) => part !== undefined).join(" "),
              ),
          ),
        ].sort();
      },
      destroy: lab.destroy,
    };
  } catch (cause) {
    await lab.destroy();
    throw cause;
  }
}

/** Nothing of the attacks is there. */
const LAST = "198.18.99.99";

/** Of a question that no resolver has under way already. */
const RANDOM_LABEL = /^r[0-9a-f]{12}\./;

/** Names are logged by the second. */
function second(ts: string): string {
  return `${ts.slice(0, 19)}.000Z`;
}

function isRefusal(verdict: string | undefined): boolean {
  return verdict !== undefined && verdict !== "allowed" && verdict !== "bypass";
}

const { resolver: RESOLVER, otherResolvers: OTHER_RESOLVERS } = PLATFORM.network;
const RESOLVERS = [RESOLVER, ...OTHER_RESOLVERS, "198.18.0.53"];

/** The resolver's own queries, and what is allowed, are judged by `asked` and by the steps. */
function isOfInterest(packet: string): boolean {
  // The packet log of the internet has no protocol for IPv6 fragments.
  return (
    !packet.startsWith("undefined") &&
    !RESOLVERS.some((address) => packet.endsWith(` ${address} 53`)) &&
    !/ (198\.18\.1\.1|2001:2::aaaa)( |$)/.test(packet)
  );
}
