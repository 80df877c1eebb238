import { stringify } from "yaml";
import type { ShieldedContainer } from "./quadlet-unit.ts";

/** The keys of a Compose service for those of podman's options that may come more than once. */
const LIST_KEYS = {
  sysctl: "sysctls",
  volume: "volumes",
  "cap-drop": "cap_drop",
  "add-host": "extra_hosts",
  annotation: "annotations",
};
const KNOWN_OPTIONS = ["name", "network", "hooks-dir", ...Object.keys(LIST_KEYS)];

/**
 * A Compose file (compose-spec.io) by which podman-compose starts the container shielded or not at all. Compose has
 * no key for hooks, so these come from `terok-shield setup` or from podman-compose's own arguments.
 */
export function renderComposeFile({ container, podmanOptions }: ShieldedContainer): string {
  const options = podmanOptions.map(parseOption);
  const valuesOf = (wanted: string) => options.flatMap(({ name, value }) => (name === wanted ? [value] : []));
  const lists = Object.entries(LIST_KEYS).map(([name, key]) => [key, valuesOf(name)] as const);
  const service = {
    image: "IMAGE",
    container_name: container,
    network_mode: valuesOf("network")[0],
    ...Object.fromEntries(lists.filter(([, values]) => values.length > 0)),
  };
  const hooks = podmanOptions.filter((option) => option.startsWith("--hooks-dir="));
  return `# Put the image in place of IMAGE, add what else the container needs, and save this as compose.yaml.
# podman-compose 1.3 or later starts it: after \`terok-shield setup\`, or with the hooks on its command line:
#   podman-compose --podman-run-args="${hooks.join(" ")}" up -d
# Every key but the image is its shield: keep them all.

${stringify({ services: { [container]: service } }, { lineWidth: 0 })}`;
}

/** @throws Error for an option that no key stands for: it would be lost. */
function parseOption(option: string): { readonly name: string; readonly value: string } {
  const [, name = "", value = ""] = /^--([^=]+)=(.*)$/s.exec(option) ?? [];
  if (!KNOWN_OPTIONS.includes(name)) throw new Error(`A Compose file has no key for ${option}.`);
  // Compose puts variables in the place of $NAME.
  return { name, value: value.replaceAll("$", "$$$$") };
}
