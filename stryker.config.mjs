/** @type {import("@stryker-mutator/core").PartialStrykerOptions} */
export default {
  // pnpm keeps plugins where Stryker does not look for them by itself.
  plugins: ["@stryker-mutator/vitest-runner"],
  testRunner: "vitest",
  vitest: { configFile: "vitest.mutation.config.ts" },
  mutate: [
    "packages/{nft-ruleset,profiles}/src/*.ts",
    "packages/dns-tier/src/{dig,dnsmasq-facts,domain-name,getent,hosts-entries,ip-text,servers-file,upstream}.ts",
    "packages/hook-entrypoint/src/{bundle,canonical-listing,confirmation,container-spec,dns-message}.ts",
    "packages/hook-entrypoint/src/{escape-for-terminals,identify-helper,marker,mount-points,oci-state}.ts",
    "packages/hook-entrypoint/src/{parse-container-spec,runtime-record}.ts",
    "!**/{*.test,stand-in-range,index}.ts",
  ],
  // A mutant of what is computed when a module loads would cost a run of every test.
  ignoreStatic: true,
  coverageAnalysis: "perTest",
  concurrency: 2,
  incremental: true,
  incrementalFile: ".stryker/incremental.json",
  tempDirName: ".stryker/tmp",
  reporters: ["progress-append-only", "clear-text", "json"],
  clearTextReporter: { logTests: false, reportTests: false },
  jsonReporter: { fileName: ".stryker/report.json" },
  thresholds: { high: 95, low: 90, break: 90 },
};
