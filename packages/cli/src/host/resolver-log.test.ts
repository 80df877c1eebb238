import { attributeAnswers } from "@terok-shield/dns-tier";
import { expect, test } from "vitest";
import { answeredQuery, textOf } from "../../testing/event-logs.ts";
import { makeTemporaryDirectory, writeFiles } from "../../testing/temporary-directory.ts";
import { readResolverLog } from "./resolver-log.ts";

const line = (name: string, number: number) =>
  answeredQuery(1_795_500_000, number, name, `198.18.0.${number}`);

async function namesIn(files: Readonly<Record<string, string>>): Promise<string[]> {
  const bundle = makeTemporaryDirectory();
  writeFiles(bundle, files);
  return [...attributeAnswers(readResolverLog(bundle)).keys()];
}

test("holds what the log had before it grew too long, and nothing of the run before", async () => {
  expect(
    await namesIn({
      "dnsmasq.log": textOf(line("new.test", 3)),
      "dnsmasq.log.old": textOf(line("old.test", 2)),
      "dnsmasq.earlier.log": textOf(line("earlier.test", 1)),
      "dnsmasq.earlier.log.old": textOf(line("earlier.test", 1)),
    }),
  ).toEqual(["old.test", "new.test"]);
});

test("a query that stands in both parts is put together", async () => {
  const [asked = "", ...answered] = line("both.test", 1);
  expect(await namesIn({ "dnsmasq.log.old": textOf([asked]), "dnsmasq.log": textOf(answered) })).toEqual([
    "both.test",
  ]);
});

test("a line that was cut off takes no other with it", async () => {
  expect(
    await namesIn({
      "dnsmasq.log.old": `${textOf(line("old.test", 1))}Nov 24 06:06:07 dnsm`,
      "dnsmasq.log": textOf(line("new.test", 2)),
    }),
  ).toEqual(["old.test", "new.test"]);
});

test("is empty where there is none", async () => {
  expect(await namesIn({})).toEqual([]);
});
