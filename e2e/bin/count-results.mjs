// The last line of `npm test`, from exit codes and vitest's reports. The checks count as one test. A failure
// that belongs to no test still counts, and an e2e test that was skipped has proved nothing: it counts too.
import { existsSync, readFileSync } from "node:fs";

const [check, unitCode, unitReport, e2eCode, e2eReport] = process.argv.slice(2);
const counts = [
  check === "0" ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 },
  count(unitCode, unitReport, "skipping is fine"),
  count(e2eCode, e2eReport, "skipping is failing"),
];
const passed = counts.reduce((sum, each) => sum + each.passed, 0);
const failed = counts.reduce((sum, each) => sum + each.failed, 0);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;

function count(exitCode, reportPath, skipping) {
  if (!existsSync(reportPath)) {
    return { passed: 0, failed: 1 };
  }
  const report = JSON.parse(readFileSync(reportPath, "utf8"));
  const skipped = report.numPendingTests + report.numTodoTests;
  const failed = report.numFailedTests + (skipping === "skipping is failing" ? skipped : 0);
  return { passed: report.numPassedTests, failed: exitCode === "0" ? failed : Math.max(1, failed) };
}
