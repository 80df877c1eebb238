#!/bin/sh
# `npm test`: everything that can be checked, with the count as the last line.
# --yes installs Debian packages without asking; other arguments choose test files.
set -u
cd "$(dirname "$0")/../.."
. e2e/bin/prepare.sh

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

run_vitest() {
  project=$1
  shift
  TEST_RESULTS="$results/$project.json" node_modules/.bin/vitest run --project "$project" --passWithNoTests \
    --reporter=default --reporter=./e2e/bin/results-reporter.mjs "$@"
}

prepare "$@" || {
  echo "FAILED prepare: no packages, or no build"
  echo "0 passed, 1 failed"
  exit 1
}
if [ "${1-}" = --yes ]; then
  shift
fi

npm run --silent check > "$results/check.log" 2>&1
check=$?
cat "$results/check.log"
run_vitest unit "$@"
unit=$?
run_vitest e2e "$@"
e2e=$?
run_vitest attacks "$@"
attacks=$?
set -- "$#" \
  "$check" "$results/check.log" \
  unit "$unit" "$results/unit.json" \
  e2e "$e2e" "$results/e2e.json" \
  attacks "$attacks" "$results/attacks.json"
# Whoever names test files wants those alone.
if [ "$1" -eq 0 ]; then
  TEST_RESULTS="$results/trixie.json" sh e2e/bin/test-trixie.sh \
    --reporter=default --reporter=./e2e/bin/results-reporter.mjs
  set -- "$@" trixie "$?" "$results/trixie.json"
fi
shift
node e2e/bin/count-results.mjs "$@"
