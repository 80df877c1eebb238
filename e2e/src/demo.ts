import { installShield } from "./lab/install-shield.ts";
import { createLab, type Lab } from "./lab/lab.ts";
import { PLATFORM } from "./lab/platform.ts";

/** One step of the demo: what is shown, the command as a user types it, and what has to come of it. */
interface Step {
  readonly shows: string;
  readonly command: readonly string[];
  readonly expects: RegExp;
}

const PROFILE = `# may reach good.test and its packages, nothing else
good.test
*.wild.test
198.18.1.0/24
`;

const STEPS: readonly Step[] = [
  {
    shows: "A shielded container starts, in the background.",
    command: [
      "terok-shield",
      "run",
      "demo",
      "--profiles",
      "my-project",
      "--",
      "-d",
      "--volume",
      "/usr:/usr:ro",
      "localhost/lab",
      "sleep",
      "infinity",
    ],
    expects: /^[0-9a-f]{64}$/m,
  },
  {
    shows: "The kernel enforces its rules.",
    command: ["terok-shield", "status", "demo"],
    expects: /demo {2}up/,
  },
  {
    shows: "An allowed host is reached over IPv4 …",
    command: inside("curl", "-sS", "-4", "http://good.test/"),
    expects: /reached 198\.18\.0\.10/,
  },
  {
    shows: "… and over IPv6.",
    command: inside("curl", "-sS", "-6", "http://good.test/"),
    expects: /reached 2001:2::10/,
  },
  {
    shows: "An unlisted host is refused at once.",
    command: inside("curl", "-sS", "http://198.18.66.66/"),
    expects: /Couldn't connect/,
  },
  {
    shows: "So is one over IPv6, …",
    command: inside("curl", "-sS", "http://[2001:2::6666]/"),
    expects: /Couldn't connect|Connection refused/,
  },
  {
    shows: "… a private address, and the cloud's metadata service.",
    command: inside("curl", "-sS", "http://169.254.169.254/"),
    expects: /Couldn't connect/,
  },
  {
    shows: "An unlisted name does not resolve: nobody outside hears it.",
    command: inside("curl", "-sS", "http://evil.test/"),
    expects: /Could not resolve/,
  },
  {
    shows: "The resolver cannot be asked past the shield's own.",
    command: inside("dig", "+tries=1", "+time=1", `@${PLATFORM.network.resolver}`, "evil.test"),
    expects: /unreachable/,
  },
  {
    shows: "A plain restart, without the shield, does not come up.",
    command: ["sh", "-c", "podman stop --time=0 demo && podman start demo"],
    expects: /no such file or directory/i,
  },
  { shows: "A shielded one does.", command: ["terok-shield", "start", "demo"], expects: /^demo$/m },
  {
    shows: "What it tried is in the log, with the command that would let it through.",
    command: ["terok-shield", "logs", "--container", "demo", "--only", "refused", "--pretty"],
    // Names have whole seconds, so either may come first.
    expects: /^(?=[\s\S]*blocked .*198\.18\.66\.66.*\(terok-shield allow demo )(?=[\s\S]*evil\.test)/,
  },
  {
    shows: "The kernel's rules say why.",
    command: ["terok-shield", "explain", "demo", "198.18.66.66:80"],
    expects: /refused: no entry names it/,
  },
  {
    shows: "A profile can be made of what it tried; what had better stay closed is set apart.",
    command: ["terok-shield", "learn", "demo"],
    expects: /\+198\.18\.66\.66:80\/tcp[\s\S]*Set apart[\s\S]*169\.254\.169\.254/,
  },
  {
    shows: "What happened to it, too.",
    command: ["terok-shield", "logs", "--container", "demo", "--only", "lifecycle"],
    expects: /"action":"setup".*\n.*"action":"setup"/,
  },
];

const { prefix, remove } = await installShield();
try {
  const lab = await createLab({ shieldPrefix: prefix });
  try {
    await show(lab);
  } finally {
    await lab.destroy();
  }
} finally {
  await remove();
}

async function show(lab: Lab): Promise<void> {
  say(
    "A host with rootless Podman and a small internet of its own were made in namespaces of this machine.\n",
  );
  await lab.user.writeFile(`${lab.user.home}/.config/terok/shield/profiles/my-project.txt`, PROFILE);
  say(`~/.config/terok/shield/profiles/my-project.txt:\n${indent(PROFILE)}`);
  for (const { shows, command, expects } of STEPS) {
    const [file = "", ...args] = command;
    const { stdout, stderr } = await lab.user.run(file, args);
    const output = `${stdout}${stderr}`;
    say(`\n${shows}\n$ ${command.map(quote).join(" ")}\n${indent(output)}`);
    if (!expects.test(output)) throw new Error(`The demo failed: "${shows}" did not come true.`);
  }
  const queries = (await lab.internet.dnsQueries()).map(({ name }) => name);
  if (queries.includes("evil.test")) throw new Error("The demo failed: the name server heard of evil.test.");
  const arrivals = (await lab.internet.arrivals())
    .filter(({ port }) => port !== 53)
    .map(({ address }) => address);
  say(`\nWhat the name server heard: ${[...new Set(queries)].join(", ")}`);
  say(`What arrived on the internet: ${[...new Set(arrivals)].join(", ")}`);
  await lab.user.mustRun("podman", ["rm", "--force", "--time=0", "demo"]);
}

function inside(...command: string[]): string[] {
  return ["podman", "exec", "demo", ...command];
}

function quote(word: string): string {
  return /^[\w@%+=:,./[\]-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, "    ");
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
