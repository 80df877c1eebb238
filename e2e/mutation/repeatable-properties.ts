import fc from "fast-check";

// A mutant is killed or not by what the tests say, not by luck, and nobody reads its counterexample.
fc.configureGlobal({ seed: 1, endOnFailure: true });
