#!/bin/sh
# `npm run demo`. --yes installs Debian packages without asking; all arguments go on to the demo.
set -eu
cd "$(dirname "$0")/../.."
. e2e/bin/prepare.sh

prepare "$@"
exec node_modules/.bin/tsx e2e/src/demo.ts "$@"
