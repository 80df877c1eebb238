import { setTimeout } from "node:timers/promises";

/** Waits for something that others bring about, and says what it was when it does not come. */
export async function until(
  fact: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > deadline) {
      throw new Error(`Not so within ${timeoutMs} ms: ${fact}.`);
    }
    await setTimeout(10);
  }
}
