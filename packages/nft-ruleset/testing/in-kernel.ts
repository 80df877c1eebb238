import { execFileSync } from "node:child_process";

/** Loads the transactions one after the other in a fresh network namespace and lists what is there then. */
export function inKernel(transactions: readonly string[]): string {
  const [answer] = inKernelEach([transactions]);
  if (answer === undefined || answer.refusal !== undefined)
    throw new Error(`nft refused: ${answer?.refusal}`);
  return answer.listing;
}

/** What is listed at the end, and what nft said if it refused a transaction, which is the last one then. */
export interface KernelAnswer {
  readonly listing: string;
  readonly refusal?: string;
}

/** The same for many lists of transactions, one after the other in one namespace, each on an empty ruleset. */
export function inKernelEach(cases: readonly (readonly string[])[]): KernelAnswer[] {
  const files = cases.map(
    (transactions, index) => `cat > /run/${index} <<'CASE'\n${transactions.map(load).join("")}CASE\n`,
  );
  const runs = cases.map(
    (_, index) =>
      `nft flush ruleset; sh -e /run/${index} 2>/run/errors && echo || head -n 1 /run/errors; nft -j list ruleset\n`,
  );
  const lines = inNamespace(["mount -t tmpfs tmpfs /run\n", ...files, ...runs].join("")).split("\n");
  return cases.map((_, index) => {
    const [refusal, listing = ""] = lines.slice(2 * index);
    return refusal === "" ? { listing } : { listing, refusal: refusal ?? "" };
  });
}

function load(transaction: string): string {
  return `nft -f - <<'NFT'\n${transaction.trimEnd()}\nNFT\n`;
}

function inNamespace(script: string): string {
  return execFileSync("unshare", ["--user", "--map-root-user", "--net", "--mount", "sh", "-e"], {
    encoding: "utf8",
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    input: script,
    maxBuffer: 1 << 28,
    stdio: ["pipe", "pipe", "pipe"],
  });
}
