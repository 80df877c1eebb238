import { execFileSync } from "node:child_process";

/** Loads the transactions one after the other in a fresh network namespace and lists what is there then. */
export function inKernel(transactions: readonly string[]): string {
  const [answer] = inKernelEach([transactions]);
  if (answer?.listing === undefined) throw new Error(`nft refused: ${answer?.refusal}`);
  return answer.listing;
}

export type KernelAnswer =
  | { readonly listing: string; readonly refusal?: undefined }
  | { readonly listing?: undefined; readonly refusal: string };

/** The same for many lists of transactions, one after the other in one namespace, each on an empty ruleset. */
export function inKernelEach(cases: readonly (readonly string[])[]): KernelAnswer[] {
  const files = cases.map(
    (transactions, index) =>
      `cat > /run/${index} <<'CASE'\n${transactions.map(load).join("")}nft -j list ruleset\nCASE\n`,
  );
  const runs = cases.map(
    (_, index) =>
      `nft flush ruleset; sh -e /run/${index} 2>/run/errors || echo "refused $(head -n 1 /run/errors)"\n`,
  );
  return inNamespace(["mount -t tmpfs tmpfs /run\n", ...files, ...runs].join(""))
    .trimEnd()
    .split("\n")
    .map((line) => (line.startsWith("refused ") ? { refusal: line.slice(8) } : { listing: line }));
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
