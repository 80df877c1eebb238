export interface ShieldedContainer {
  readonly container: string;
  /** As `renderPodmanOptions` gives them. */
  readonly podmanOptions: readonly string[];
}

/** Needs no quotes in a unit file, and means nothing to it. */
const PLAIN_WORD = /^[\w@:=.,/+~-]+$/;

/**
 * A Quadlet unit (podman-systemd.unit(5)) whose service starts the container shielded or not at all.
 * Every option goes by PodmanArgs=, since Quadlet learned its own keys for them one by one, and an option that
 * went by a key unknown to some version would keep the unit from being.
 */
export function renderQuadletUnit({ container, podmanOptions }: ShieldedContainer): string {
  const args = podmanOptions
    .filter((option) => option !== `--name=${container}`)
    .map((option) => `PodmanArgs=${quoteForSystemd(option)}`);
  return `# Put the image in place of IMAGE, add what else the container needs, save this as
# ~/.config/containers/systemd/${container}.container and run: systemctl --user daemon-reload
# The lines of PodmanArgs are its shield: keep them all.

[Unit]
Description=${container} behind its shield

[Container]
ContainerName=${container}
Image=IMAGE
${args.join("\n")}

[Install]
WantedBy=default.target
`;
}

/** One word of a command line as systemd reads it (systemd.service(5)): quotes, escapes, specifiers, variables. */
function quoteForSystemd(word: string): string {
  if (PLAIN_WORD.test(word)) return word;
  return `"${word.replace(/[%$]/g, "$&$&").replace(/["\\\p{Cc}]/gu, escapeCharacter)}"`;
}

function escapeCharacter(character: string): string {
  if (character === '"' || character === "\\") return `\\${character}`;
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
}
