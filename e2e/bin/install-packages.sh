#!/bin/sh
# Sees to the Debian packages that the demo and the tests need.
# Root installs what is missing when nobody can be asked, in CI, and with --yes; anybody else is asked first.
set -eu

PACKAGES="podman crun conmon slirp4netns passt uidmap catatonit nftables dnsmasq-base ulogd2 ulogd2-json
iproute2 bind9-dnsutils curl procps python3-minimal tmux chromium-headless-shell"
PACKAGES="$PACKAGES ${MORE_PACKAGES-}"
# Its package starts a server, so only the checker of metrics is taken out of it.
PROMTOOL=e2e/.tools/promtool
NODE_MAJOR=20

main() {
  check_node
  if [ "$(id -u)" -eq 0 ]; then as_root=''; else as_root='sudo '; fi
  missing=$(missing_packages)
  if [ -n "$missing" ]; then
    command -v apt-get > /dev/null || stop "These Debian packages are missing, and there is no apt-get here: $missing."
    echo "Missing Debian packages: $missing."
    may_install "$@" || ask "Run \`${as_root}apt-get install --no-install-recommends $missing\`?"
    install_packages
  fi
  [ -x "$PROMTOOL" ] || fetch_promtool
}

check_node() {
  version=$(node --version 2> /dev/null) || stop "Node.js $NODE_MAJOR or newer is needed, and there is no node in PATH."
  major=${version#v}
  [ "${major%%.*}" -ge "$NODE_MAJOR" ] || stop "Node.js $NODE_MAJOR or newer is needed; this is $version."
}

missing_packages() {
  # shellcheck disable=SC2086 # one word per package
  installed=$(dpkg-query --show --showformat '${Package} ${db:Status-Status}\n' $PACKAGES 2> /dev/null || true)
  for package in $PACKAGES; do
    case "
$installed
" in
      *"
$package installed
"*) ;;
      *) echo "$package" ;;
    esac
  done | paste -s -d ' ' -
}

may_install() {
  for argument in "$@"; do
    [ "$argument" != --yes ] || return 0
  done
  [ "$(id -u)" -eq 0 ] && { [ -n "${CI-}" ] || ! [ -t 0 ]; }
}

ask() {
  [ -t 0 ] || stop "Nothing was installed: there is no terminal to ask at. Install them, or say --yes."
  printf '%s [y/N] ' "$1"
  read -r answer
  case $answer in
    [yY] | [yY][eE][sS]) ;;
    *) stop "Nothing was installed." ;;
  esac
}

install_packages() {
  # Package lists that are absent or out of date make the first attempt fail.
  try_install 2> /dev/null || { apt_get update && try_install; } || stop "The packages could not be installed."
}

try_install() {
  # shellcheck disable=SC2086 # one word per package
  apt_get install --yes --no-install-recommends $missing
}

fetch_promtool() {
  unpack_promtool 2> /dev/null || { apt_get update && unpack_promtool; } || stop "promtool could not be had."
}

# For that, a package is only downloaded and unpacked.
unpack_promtool() {
  directory=$(mktemp -d)
  (
    cd "$directory" && apt-get --quiet download prometheus &&
      dpkg-deb --fsys-tarfile prometheus_*.deb | tar --extract ./usr/bin/promtool
  ) && mkdir -p "${PROMTOOL%/*}" && mv "$directory/usr/bin/promtool" "$PROMTOOL" && rm -r "$directory"
}

apt_get() {
  ${as_root}env DEBIAN_FRONTEND=noninteractive apt-get --quiet "$@"
}

stop() {
  echo "$1" >&2
  exit 1
}

main "$@"
