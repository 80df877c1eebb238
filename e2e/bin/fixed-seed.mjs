// Set-up of the unit tests. In CI, property tests try the same values each time: what fails there is the change's fault.
// Elsewhere, and in `pnpm test:fuzz`, they try others in each run.
if (process.env.CI !== undefined && process.env.FUZZ_RUNS === undefined) {
  const { default: fc } = await import("fast-check");
  fc.configureGlobal({ seed: 1 });
}
