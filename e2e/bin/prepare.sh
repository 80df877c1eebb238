# Sourced by demo.sh and test.sh, from the root of the repository: everything up to a built workspace.

export TURBO_TELEMETRY_DISABLED=1 TURBO_NO_UPDATE_NOTIFIER=1
# The pinned pnpm is the one that runs; it need not look itself up and write that into the lock file.
export pnpm_config_pm_on_fail=ignore

prepare() {
  sh e2e/bin/install-packages.sh "$@" &&
    put_pnpm_in_path &&
    install_dependencies &&
    pnpm exec turbo run build --output-logs=errors-only
}

# The version that package.json names. turbo, too, looks for pnpm in PATH.
put_pnpm_in_path() {
  pnpm_version=$(node --print 'require("./package.json").packageManager') &&
    pnpm_path=$(npx --yes --package "$pnpm_version" --call 'command -v pnpm') &&
    PATH="${pnpm_path%/*}:$PATH"
}

install_dependencies() {
  stamp=node_modules/.installed-from
  inputs=$(cksum package.json pnpm-lock.yaml pnpm-workspace.yaml packages/*/package.json e2e/package.json)
  if [ "$inputs" != "$(cat "$stamp" 2> /dev/null)" ]; then
    pnpm install --frozen-lockfile && printf '%s\n' "$inputs" > "$stamp"
  fi
}
