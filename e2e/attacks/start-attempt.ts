import type { Lab } from "../src/lab/lab.ts";
import { until } from "../src/lab/until.ts";

/** A start that no shield may let through. It changes one thing of a start that goes well, past the command line. */
export interface StartAttempt {
  /** "is given NET_ADMIN". */
  readonly what: string;
  /** Of podman, with HOME and RUNTIME in place of the user's directories. */
  readonly options?: readonly string[];
  /** Those of the shield's own options that are left out. */
  readonly without?: RegExp;
  /** A shell command of the machine's administrator on the bundle $B, and one that takes it back. */
  readonly damage?: string;
  readonly repair?: string;
  /** A script in a program's place, with REAL for the program and BUNDLE for the bundle. */
  readonly tool?: { readonly name: string; readonly script: string };
  /** Python that changes `spec`, the container's config.json, before the hook reads it. */
  readonly spec?: string;
  /** Python that changes `state`, which the runtime hands to the hook. */
  readonly state?: string;
  /** Blanks after that. */
  readonly padding?: number;
  /** Another container runs with the same bundle. */
  readonly rival?: boolean;
  /** The container has no shield, and joins the network of one that has. */
  readonly joins?: boolean;
  /** A shell command on the bundle that makes a hole in it beforehand. */
  readonly edit?: string;
}

export interface StartLab {
  /** True when the container's process ran. */
  attempt(attempt: StartAttempt): Promise<boolean>;
}

const NAME = "gated";

export async function createStartLab(lab: Lab): Promise<StartLab> {
  const { user, root } = lab;
  const { home, runtimeDirectory } = user;
  const bundle = `${home}/.local/state/terok/shield/containers/${NAME}`;
  const sh = (script: string) => root.mustRun("sh", ["-c", script]);
  await user.writeFile(`${home}/.config/terok/shield/profiles/gate.txt`, "198.18.1.1\n");
  const prepared = await user.mustRun("terok-shield", ["prepare", NAME, "--profiles", "gate"]);
  const usual = prepared.trim().split(" ");
  await user.mustRun("sh", [
    "-c",
    `cd ${home}; mkdir marks; ln -s . innocent; echo nameserver 198.18.0.53 > resolv.conf
     python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("agent.sock")'`,
  ]);
  const sleep = [...lab.imageArgs, "sleep", "infinity"];
  const other = (await user.mustRun("podman", ["run", "-d", "--name=other", ...sleep])).trim();
  await sh(`cp -a ${bundle} /run/pristine
    mkdir -p /tmp/tree/below /tmp/kernel
    mount --bind ${home}/.local/state/terok/shield /tmp/tree/below
    mount -t proc proc /tmp/kernel
    chmod 777 /tmp/tree
    mkdir -p /run/real; chmod 755 /run/real`);

  const marked = ["--volume", `${home}/marks:/marks`, ...lab.imageArgs];
  const startShielded = () => user.mustRun("podman", ["run", "-d", ...usual, ...sleep]);
  const hasRun = async () => (await user.mustRun("ls", [`${home}/marks`])) !== "";

  /** Whether podman's run of it came to its first act. */
  async function start({ options = [], without }: StartAttempt): Promise<boolean> {
    const kept = usual.filter((option) => without?.test(option) !== true);
    const more = options.map((option) => option.replace("HOME", home).replace("RUNTIME", runtimeDirectory));
    await lab.podman(["run", ...kept, ...more, ...marked, "touch", "/marks/ran"]);
    return hasRun();
  }

  async function withTool<Result>(attempt: StartAttempt, act: () => Promise<Result>): Promise<Result> {
    const tool = attempt.tool ?? renderEditor(attempt);
    if (tool === undefined) return act();
    const path = (await sh(`command -v ${tool.name}`)).trim();
    const real = `/run/real/${tool.name}`;
    await sh(`mv ${path} ${real}`);
    try {
      const script = tool.script
        .replaceAll("REAL", real)
        .replaceAll("BUNDLE", bundle)
        .replaceAll("HOME", home);
      await root.writeFile(path, `#!/bin/sh\n${script}\n`, 0o755);
      return await act();
    } finally {
      await sh(`mv ${real} ${path}`);
    }
  }

  async function join(): Promise<boolean> {
    await user.mustRun("terok-shield", ["setup"]);
    try {
      await startShielded();
      await lab.podman(["run", `--network=container:${NAME}`, ...marked, "touch", "/marks/ran"]);
      return await hasRun();
    } finally {
      await user.mustRun("terok-shield", ["setup", "--uninstall"]);
    }
  }

  return {
    async attempt(attempt) {
      const { rival, joins, edit = "true", damage = "true", repair = "true" } = attempt;
      await sh(`rm -rf ${bundle} ${home}/marks/*; cp -a /run/pristine ${bundle}`);
      await sh(edit.replaceAll("$B", bundle));
      await sh(damage.replaceAll("$B", bundle));
      try {
        if (joins === true) return await join();
        if (rival === true) await startShielded();
        return await withTool(attempt, () => start(attempt));
      } finally {
        await sh(repair.replaceAll("$B", bundle));
        await until("no container but the other is left", async () => {
          const all = (await lab.podman(["ps", "--all", "--quiet", "--no-trunc"])).stdout.trim().split("\n");
          const ours = all.filter((id) => id !== other);
          if (ours.length > 0) await lab.podman(["rm", "--force", "--time=0", ...ours]);
          return ours.length === 0;
        });
      }
    },
  };
}

/** The way to the hook's process leads over nsenter. */
function renderEditor({ spec, state, padding = 0 }: StartAttempt): StartAttempt["tool"] {
  if (spec === undefined && state === undefined && padding === 0) return undefined;
  const program = [
    "import json, subprocess, sys",
    "state = json.load(sys.stdin)",
    `path = state["bundle"] + "/config.json"`,
    "spec = json.load(open(path))",
    spec ?? "",
    `open(path, "w").write(json.dumps(spec))`,
    state ?? "",
    `text = json.dumps(state) + " " * ${padding}`,
    `sys.exit(subprocess.run(["REAL", *sys.argv[1:]], input=text.encode()).returncode)`,
  ];
  return { name: "nsenter", script: `exec python3 -c '${program.join("\n")}' "$@"` };
}
