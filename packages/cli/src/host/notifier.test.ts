import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { makeTemporaryDirectory } from "../../testing/temporary-directory.ts";
import { openNotifier } from "./notifier.ts";
import { type RunCommand, runCommand } from "./run-command.ts";

const BUS = { DBUS_SESSION_BUS_ADDRESS: "unix:path=/nowhere" };
const NOTICE = {
  summary: "--action=evil",
  body: "-body; $(reboot) `x`",
  actions: [{ choice: "deny", label: "Deny for good" }],
  about: "row",
} as const;

/** A notify-send that writes its arguments down, one a line, and answers. */
function fakeDesktop({ version = "0.8.1", answer = "echo deny" } = {}) {
  const directory = makeTemporaryDirectory();
  const file = `${directory}/notify-send`;
  const script = `#!/bin/sh
if [ "$1" = --version ]; then echo "notify-send ${version}"; exit; fi
printf '%s\\n' "$@" > ${directory}/arguments
${answer}
`;
  writeFileSync(file, script);
  chmodSync(file, 0o755);
  const run: RunCommand = (command) => runCommand({ ...command, file });
  return {
    runCommand: run,
    args: () => readFileSync(`${directory}/arguments`, "utf8").trimEnd().split("\n"),
  };
}

const never = new AbortController().signal;

describe("a desktop", () => {
  test("shows the notice, whose text is never an option, and gives the button that was pressed", async () => {
    const desktop = fakeDesktop();
    const notify = await openNotifier(desktop, BUS);
    expect(await notify?.(NOTICE, never)).toBe("deny");
    expect(desktop.args()).toEqual([
      "--app-name=terok-shield",
      "--expire-time=60000",
      "--action=deny=Deny for good",
      ...["--", "--action=evil", "-body; $(reboot) `x`"],
    ]);
  });

  test.each([
    { answer: "true", why: "closes it" },
    { answer: "echo allow", why: "names a button that was not there" },
    { answer: "exit 1", why: "fails" },
  ])("that $why decides nothing", async ({ answer }) => {
    const notify = await openNotifier(fakeDesktop({ answer }), BUS);
    expect(notify).toBeDefined();
    expect(await notify?.(NOTICE, never)).toBeUndefined();
  });

  test("that never answers is let go of when the prompt ends", async () => {
    const notify = await openNotifier(fakeDesktop({ answer: "exec sleep 1000" }), BUS);
    const stop = new AbortController();
    const pressed = notify?.(NOTICE, stop.signal);
    stop.abort();
    expect(await pressed).toBeUndefined();
  });
});

test.each([
  { why: "there is no session bus", environment: {}, version: "0.8.1" },
  {
    why: "the session has a directory and no bus",
    environment: { XDG_RUNTIME_DIR: "/nonexistent" },
    version: "0.8.1",
  },
  { why: "notify-send knows no buttons", environment: BUS, version: "0.7.9" },
  { why: "it does not say which it is", environment: BUS, version: "unknown" },
])("there are no notices where $why", async ({ environment, version }) => {
  expect(await openNotifier(fakeDesktop({ version }), environment)).toBeUndefined();
});

test("there are none without notify-send", async () => {
  const missing: RunCommand = (command) => runCommand({ ...command, file: "/nonexistent/notify-send" });
  expect(await openNotifier({ runCommand: missing }, BUS)).toBeUndefined();
});
