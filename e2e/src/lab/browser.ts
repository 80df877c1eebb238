import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

interface View {
  readonly width: number;
  readonly colours: "light" | "dark";
}

/** A page as a browser shows it, and what the browser did and said meanwhile. */
export interface ShownPage {
  /** The value of an expression in the page. */
  evaluate(expression: string): Promise<unknown>;
  show(view: View): Promise<void>;
  /** A PNG of the whole page. */
  screenshot(): Promise<Buffer>;
  /** Every address that was asked for, that of the page first. */
  readonly requests: readonly string[];
  /** Errors and warnings of the browser's console. */
  readonly complaints: readonly string[];
  close(): Promise<void>;
}

const PATIENCE_MILLISECONDS = 30_000;

/** Opens a file in headless Chromium, without a network of its own making. */
export async function openPage(file: string): Promise<ShownPage> {
  const profile = mkdtempSync(join(tmpdir(), "browser-"));
  const browser = spawn(
    "chromium-headless-shell",
    // Root has no sandbox there; the page is ours.
    [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--remote-debugging-pipe",
      `--user-data-dir=${profile}`,
    ],
    // A group of its own, since what is started here is only a wrapper.
    { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], detached: true },
  );
  const ended = new Promise<void>((resolve) =>
    browser.once("exit", () => resolve()).once("error", () => resolve()),
  );
  const close = async () => {
    if (browser.pid !== undefined && browser.exitCode === null) process.kill(-browser.pid, "SIGKILL");
    await ended;
    for (const pipe of browser.stdio) pipe?.destroy();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    return { ...(await showFile(openProtocol(browser), file)), close };
  } catch (cause) {
    await close();
    throw cause;
  }
}

async function showFile(protocol: Protocol, file: string): Promise<Omit<ShownPage, "close">> {
  const { targetId } = await protocol.send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await protocol.send("Target.attachToTarget", { targetId, flatten: true });
  const send = (method: string, params: object = {}) => protocol.send(method, params, String(sessionId));
  const [requests, complaints]: string[][] = [[], []];
  const loaded = new Promise<void>((resolve) => {
    protocol.onEvent = (method, params) => {
      if (method === "Network.requestWillBeSent") requests?.push(params.request.url);
      if (method === "Log.entryAdded") complaints?.push(params.entry.text);
      if (method === "Runtime.consoleAPICalled") complaints?.push(JSON.stringify(params.args));
      if (method === "Runtime.exceptionThrown") complaints?.push(JSON.stringify(params.exceptionDetails));
      if (method === "Page.loadEventFired") resolve();
    };
  });
  for (const domain of ["Network", "Log", "Runtime", "Page"]) await send(`${domain}.enable`);
  await send("Page.navigate", { url: `file://${file}` });
  await within(loaded, "the page to load");
  return {
    requests: requests ?? [],
    complaints: complaints ?? [],
    async evaluate(expression) {
      const { result } = await send("Runtime.evaluate", { expression, returnByValue: true });
      return result.value;
    },
    async show({ width, colours }) {
      const size = { width, height: 800, deviceScaleFactor: 1, mobile: width < 600 };
      await send("Emulation.setDeviceMetricsOverride", size);
      const features = [{ name: "prefers-color-scheme", value: colours }];
      await send("Emulation.setEmulatedMedia", { features });
    },
    async screenshot() {
      const { data } = await send("Page.captureScreenshot", { format: "png", captureBeyondViewport: true });
      return Buffer.from(String(data), "base64");
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: what comes depends on the method.
type Message = any;

interface Protocol {
  send(method: string, params?: object, sessionId?: string): Promise<Message>;
  onEvent: (method: string, params: Message) => void;
}

/** Chromium's DevTools protocol over a pipe: JSON, with a NUL after each message. */
function openProtocol(browser: ChildProcess): Protocol {
  const [, , , toBrowser, fromBrowser] = browser.stdio as unknown as [
    ...[null, null, null],
    Writable,
    Readable,
  ];
  const waiting = new Map<number, { resolve(result: Message): void; reject(cause: Error): void }>();
  const failAll = (cause: Error) => {
    for (const { reject } of waiting.values()) reject(cause);
    waiting.clear();
  };
  browser.once("error", failAll);
  browser.once("exit", (code, signal) => failAll(new Error(`the browser ended (${code ?? signal})`)));
  toBrowser.on("error", () => {});
  const protocol: Protocol = {
    onEvent: () => {},
    send(method, params = {}, sessionId) {
      const id = ++last;
      const answer = new Promise<Message>((resolve, reject) => waiting.set(id, { resolve, reject }));
      const session = sessionId === undefined ? {} : { sessionId };
      toBrowser.write(`${JSON.stringify({ id, method, params, ...session })}\0`);
      return within(answer, `an answer to ${method}`);
    },
  };
  let last = 0;
  let rest = "";
  fromBrowser.setEncoding("utf8").on("data", (chunk: string) => {
    const messages = (rest + chunk).split("\0");
    rest = messages.pop() ?? "";
    for (const text of messages) {
      const { id, method, params, result, error } = JSON.parse(text);
      if (id === undefined) protocol.onEvent(method, params);
      else if (error === undefined) waiting.get(id)?.resolve(result);
      else waiting.get(id)?.reject(new Error(error.message));
      waiting.delete(id);
    }
  });
  return protocol;
}

async function within<Value>(promise: Promise<Value>, what: string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`waited ${PATIENCE_MILLISECONDS} ms for ${what}`)),
      PATIENCE_MILLISECONDS,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
