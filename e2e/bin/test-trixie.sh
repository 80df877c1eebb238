#!/bin/sh
# `pnpm test:trixie`: of the end-to-end tests, what another distribution could change and what takes few minutes, on
# Debian 13 with what its podman takes by itself. `pnpm test:matrix` runs all of them.
set -eu
cd "$(dirname "$0")/../.."

# Damage of our own files, and names that are resolved before the start, are the same everywhere.
LEFT_OUT='.(dig|getent). tier|when .(the (ruleset|listing|manifest|bundle|names) )|30 cycles'

E2E_DISTRIBUTION=trixie exec node_modules/.bin/vitest run --project e2e reach lifecycle start-gate live-policy setup \
  --testNamePattern "^(?!.*($LEFT_OUT))" "$@"
