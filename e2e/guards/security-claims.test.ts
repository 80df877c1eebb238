import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT } from "./workspace.ts";

interface Proof {
  readonly file: string;
  readonly title: string;
}

/** A claim ends in its proof: (`e2e/tests/NAME.test.ts`: "title of the test"). Lines may be wrapped anywhere. */
const PROOF = /\(`([^`]+\.(?:test|attack)\.ts)`: "([^"]+)"\)/g;

function parseProofs(markdown: string): Proof[] {
  return [...markdown.replace(/\s+/g, " ").matchAll(PROOF)].map(([, file = "", title = ""]) => ({
    file,
    title,
  }));
}

/** Undefined when the file is there and holds the title. */
function findProofFault({ file, title }: Proof): string | undefined {
  const path = join(ROOT, file);
  if (!existsSync(path)) return `${file} does not exist`;
  return readFileSync(path, "utf8").includes(title) ? undefined : `${file} has no test "${title}"`;
}

describe("the reader of claims", () => {
  test("finds the proof of a claim, wrapped or not", () => {
    expect(
      parseProofs('- It holds\n  (`a/b.test.ts`: "a title\n  of two lines"), and so on (`c.test.ts`: "d").'),
    ).toEqual([
      { file: "a/b.test.ts", title: "a title of two lines" },
      { file: "c.test.ts", title: "d" },
    ]);
  });

  test("sees what is missing", () => {
    const file = "e2e/guards/security-claims.test.ts";
    const absent = ["sees", "nothing"].join(" ");
    expect(findProofFault({ file, title: "sees what is missing" })).toBeUndefined();
    expect(findProofFault({ file, title: absent })).toBe(`${file} has no test "${absent}"`);
    expect(findProofFault({ file: "e2e/guards/none.test.ts", title: "x" })).toBe(
      "e2e/guards/none.test.ts does not exist",
    );
  });
});

describe("docs/security.md", () => {
  const file = join(ROOT, "docs/security.md");
  const readClaims = () => {
    if (!existsSync(file)) throw new Error("docs/security.md is missing: the claims have to stand somewhere");
    return readFileSync(file, "utf8");
  };

  test("names a proof for its claims, and each is there", () => {
    const proofs = parseProofs(readClaims());
    expect(proofs.length).toBeGreaterThan(0);
    expect(proofs.flatMap((proof) => findProofFault(proof) ?? [])).toEqual([]);
  });

  test("names each test file in the form that this test reads", () => {
    const left = readClaims().replace(/\s+/g, " ").replace(PROOF, "");
    expect(left.match(/[\w./-]+\.(test|attack)\.ts/g) ?? []).toEqual([]);
  });

  test("claims what each attack proves", () => {
    const attacks = readdirSync(join(ROOT, "e2e/attacks")).filter((name) => name.endsWith(".attack.ts"));
    const claimed = new Set(parseProofs(readClaims()).map((proof) => basename(proof.file)));
    expect(attacks.filter((name) => !claimed.has(name))).toEqual([]);
  });
});
