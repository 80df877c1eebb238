import { expect, test } from "vitest";
import type { Prepared } from "./commands/prepare.ts";
import { parseContainerName } from "./container-name.ts";
import { type PrepareFormat, renderPrepared } from "./prepare-format.ts";

const PREPARED: Prepared = {
  container: parseContainerName("web"),
  podmanOptions: ["--name=web", "--network=pasta", '--annotation="a=b,c"'],
  tier: "dig",
  profiles: ["mine"],
  resolved: new Map(),
  unresolved: [],
  notes: ["x.test does not resolve: timeout"],
};

test.each<[PrepareFormat, string]>([
  ["shell", '--name=web --network=pasta --annotation="a=b,c"\n'],
  [
    "json",
    `${JSON.stringify({
      container: "web",
      tier: "dig",
      profiles: ["mine"],
      podmanOptions: PREPARED.podmanOptions,
      notes: PREPARED.notes,
    })}\n`,
  ],
  ["quadlet", 'PodmanArgs="--annotation=\\"a=b,c\\""\n'],
  ["compose", "      - '\"a=b,c\"'\n"],
])("%s", (format, text) => {
  expect(renderPrepared(PREPARED, format)).toContain(text);
});

test("a Compose file, which has no key for a hosts file, has its names", () => {
  const podmanOptions = ["--name=web", "--hosts-file=/hosts"];
  const resolved = new Map([["good.test", ["198.18.0.10"]]]);
  expect(renderPrepared({ ...PREPARED, podmanOptions, resolved }, "compose")).toContain(
    "    extra_hosts:\n      - good.test:198.18.0.10\n",
  );
});
