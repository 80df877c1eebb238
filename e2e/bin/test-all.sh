#!/bin/sh
# `pnpm test:all`: all that takes hours. Each part runs whatever came of the others; the last lines say which failed, and
# docs/ has the pages that the parts write.
set -u
cd "$(dirname "$0")/../.."

failed=''
for part in test attack:full attack:holes test:matrix test:fuzz mutate; do
  npm run "$part" || failed="$failed $part"
done
if [ -n "$failed" ]; then
  echo "Failed:$failed"
  exit 1
fi
echo "All passed."
