import { type BenchLab, PLAIN_NETWORK, remove, sleeping, timeCommands, writeProfile } from "./bench-lab.ts";
import type { Figure, Section } from "./figure.ts";

/** From the command to the running container, and back. */
export async function measureStarts(bench: BenchLab): Promise<Section> {
  const { lab } = bench;
  await writeProfile(lab, "bench", ["198.18.1.1", "good.test"]);
  const plain = (...words: string[]) => ["podman", "run", ...PLAIN_NETWORK, ...words];
  const shielded = (name: string, ...words: string[]) => [
    ...["terok-shield", "run", name, "--profiles", "bench", "--"],
    ...words,
  ];
  const prepare = ["sh", "-c", "terok-shield prepare ready --profiles bench > /tmp/flags"];
  const withFlags = ["sh", "-c", 'exec podman run $(cat /tmp/flags) "$@"', "sh", "-d", ...sleeping(lab)];
  const begin = plain("-d", "--name", "plain", ...sleeping(lab));
  const beginShielded = shielded("shielded", "-d", ...sleeping(lab));
  const figures = await timeCommands(bench, [
    { name: "podman run -d", command: begin, after: [remove("plain")] },
    {
      name: "terok-shield run -d",
      command: beginShielded,
      after: [remove("shielded")],
      against: "podman run -d",
      target: { most: 3.5 },
    },
    {
      name: "podman run -d, flags ready",
      before: [prepare],
      command: withFlags,
      after: [remove("ready")],
      against: "podman run -d",
    },
    { name: "podman run --rm … true", command: plain("--rm", ...lab.imageArgs, "true") },
    {
      name: "terok-shield run --rm … true",
      command: shielded("brief", "--rm", ...lab.imageArgs, "true"),
      against: "podman run --rm … true",
    },
    { name: "podman rm -f -t 0", before: [begin], command: remove("plain") },
    {
      name: "rm of a shielded one",
      before: [beginShielded],
      command: remove("shielded"),
      against: "podman rm -f -t 0",
    },
  ]);
  return {
    title: "Starts",
    about:
      "Shielded containers in the dnsmasq tier with ulogd2, against Podman's own with the same network. The last rows are differences, round by round: what the shield adds to a start whose flags are ready (hooks, rules, dnsmasq, ulogd2), and to `rm`.",
    figures: [
      ...figures,
      {
        ...difference(figures, "podman run -d, flags ready", "podman run -d"),
        name: "the shield's share of a start",
        target: { most: 100 },
      },
      {
        ...difference(figures, "rm of a shielded one", "podman rm -f -t 0"),
        name: "the shield's share of rm",
        target: { most: 60 },
      },
      ...(await measureHooks(bench)),
    ],
  };
}

function difference(figures: readonly Figure[], of: string, from: string): Pick<Figure, "unit" | "values"> {
  const [left, right] = [of, from].map((wanted) => figures.find(({ name }) => name === wanted)?.values ?? []);
  return { unit: "ms", values: (left ?? []).map((value, round) => value - (right?.[round] ?? Number.NaN)) };
}

/** The stages that podman runs itself, as it runs them. What is between them and the whole is createRuntime. */
async function measureHooks(bench: BenchLab): Promise<Figure[]> {
  const { lab } = bench;
  await lab.user.mustRun("terok-shield", [
    "run",
    "hooked",
    "--profiles",
    "bench",
    "--",
    "-d",
    ...sleeping(lab),
  ]);
  const hooks = `${lab.user.home}/.local/state/terok/shield/containers/hooked/hooks`;
  const run = async (stage: string, stdin: string) => {
    const text = await lab.user.mustRun("cat", [`${hooks}/terok-shield-${stage}.json`]);
    const { hook } = JSON.parse(text) as { hook: { path: string; args: string[] } };
    return ["sh", "-c", 'exec "$@" < "$0"', stdin, hook.path, ...hook.args.slice(1)];
  };
  const spec = await lab.user.mustRun("podman", ["inspect", "--format", "{{.OCIConfigPath}}", "hooked"]);
  const id = (await lab.user.mustRun("podman", ["inspect", "--format", "{{.Id}}", "hooked"])).trim();
  await lab.user.writeFile(
    "/tmp/state.json",
    JSON.stringify({ ociVersion: "1.0.0", id: `${id.slice(1)}0`, status: "stopped", bundle: "/tmp" }),
  );
  const figures = await timeCommands(bench, [
    { name: "hook precreate", command: await run("precreate", spec.trim()) },
    { name: "hook poststop, nothing to end", command: await run("poststop", "/tmp/state.json") },
  ]);
  await lab.user.mustRun("podman", remove("hooked").slice(1));
  return figures;
}
