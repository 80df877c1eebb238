#!/bin/sh
# `pnpm mutate`: changes the source in thousands of small ways, one at a time, and sees whether a unit test notices.
# Writes docs/mutation.md, and fails below the score that stryker.config.mjs demands. `--mutate FILE` tries one file.
set -u
cd "$(dirname "$0")/../.."
. e2e/bin/prepare.sh
put_pnpm_in_path && install_dependencies || exit 1

report=.stryker/report.json
rm -f "$report"
node_modules/.bin/stryker run "$@"
code=$?
if [ $# = 0 ] && [ -e "$report" ]; then
  node e2e/bin/mutation-table.mjs "$report" > docs/mutation.md || exit 1
fi
exit $code
