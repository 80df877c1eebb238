#!/bin/sh
# `pnpm bench`: measures, and writes what came of it into docs/. --yes installs Debian packages without asking; other
# arguments choose sections.
set -eu
cd "$(dirname "$0")/../.."
. e2e/bin/prepare.sh

export MORE_PACKAGES=iperf3
prepare "$@"
if [ "${1-}" = --yes ]; then
  shift
fi
exec node_modules/.bin/tsx e2e/bench/bench.ts "$@"
