// A reporter for vitest: writes what count-results.mjs counts and names, to the file $TEST_RESULTS. Vitest's own JSON
// report leaves out why a describe block's set-up failed, and errors that belong to no test.
import { writeFileSync } from "node:fs";
import { relative } from "node:path";

// biome-ignore lint/style/noDefaultExport: vitest takes nothing else.
export default class ResultsReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const results = { passed: 0, failed: [], skipped: [] };
    for (const module of modules) {
      const file = relative(process.cwd(), module.moduleId);
      add(results.failed, file, module.errors());
      for (const suite of module.children.allSuites()) {
        add(results.failed, `${file} > ${suite.fullName}`, suite.errors());
      }
      for (const test of module.children.allTests()) {
        const name = `${file} > ${test.fullName}`;
        const { state, errors } = test.result();
        if (state === "passed") results.passed += 1;
        else if (state === "failed") add(results.failed, name, errors.slice(0, 1));
        else results.skipped.push(name);
      }
    }
    add(results.failed, "no test", unhandledErrors);
    writeFileSync(process.env.TEST_RESULTS, JSON.stringify(results));
  }
}

function add(failed, name, errors) {
  failed.push(...errors.map(({ message }) => ({ name, reason: message })));
}
