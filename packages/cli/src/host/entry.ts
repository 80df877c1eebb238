#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** As commander fits it to a terminal that nobody knows the width of. */
const HELP_WIDTH = 80;

const [first, ...others] = process.argv.slice(2);
const asksForHelp = others.length === 0 && (first === "--help" || first === "-h");
if (asksForHelp && (process.stdout.columns ?? HELP_WIDTH) >= HELP_WIDTH) {
  // What the program would print: written down when it was built, since to load it for that takes longer than to read.
  process.stdout.write(readFileSync(join(__dirname, "help.txt")));
} else {
  void import("./launcher.ts");
}
