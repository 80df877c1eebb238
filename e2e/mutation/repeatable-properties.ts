import fc from "fast-check";

// A mutant is killed or not by what the tests say, not by luck; nobody reads its counterexample, and there are thousands.
fc.configureGlobal({ seed: 1, numRuns: 30, endOnFailure: true });
