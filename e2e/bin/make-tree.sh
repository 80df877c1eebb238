#!/bin/sh
# Makes the root directory of another Debian release, with what the tests need, and prints where it is.
# It is made once for each state of this file; delete it to have it made again. --yes as for install-packages.sh.
set -eu
cd "$(dirname "$0")/../.."

PACKAGES="podman crun runc conmon slirp4netns passt uidmap catatonit nftables dnsmasq-base ulogd2 ulogd2-json
iproute2 bind9-dnsutils ca-certificates curl git nodejs podman-compose procps python3 tmux"
# Debian's own brings hundreds of packages; here it is only a client that containers use.
NPM=npm@10.9.9

main() {
  release=$1
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/terok-shield
  tree=$cache/$release-$(cksum < e2e/bin/make-tree.sh | cut -d ' ' -f 1)
  if ! [ -d "$tree" ]; then
    [ "$(id -u)" -eq 0 ] || stop "Only root can make $tree. Run it as root."
    MORE_PACKAGES=debootstrap sh e2e/bin/install-packages.sh "$@" >&2
    mkdir -p "$cache"
    # What is mounted meanwhile ends with the making, however that ends.
    flock "$cache/making" unshare --mount sh e2e/bin/make-tree.sh make "$release" "$tree" >&2
  fi
  echo "$tree"
}

make() {
  release=$1
  tree=$2
  [ ! -d "$tree" ] || return 0
  half=$tree.half-made
  rm -rf --one-file-system "$half"
  use_proxies_of_apt
  mirror=$(mirror_of_apt) || stop "apt has no Debian mirror here."
  debootstrap --variant=minbase --force-check-gpg "$release" "$half" "$mirror"
  configure_packages
  in_tree apt-get update
  # shellcheck disable=SC2086 # one word per package
  in_tree apt-get install --yes --no-install-recommends $PACKAGES
  in_tree apt-get clean
  npm install --global --prefix "$half/usr/local" --no-audit --no-fund --no-update-notifier "$NPM"
  mv --no-target-directory "$half" "$tree"
}

# Where apt has this machine's own packages from.
mirror_of_apt() {
  [ -n "$(list_mirrors)" ] || apt-get --quiet update >&2
  list_mirrors | head -n 1 | grep .
}

list_mirrors() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian'
}

use_proxies_of_apt() {
  eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
  export ${http_proxy:+http_proxy} ${https_proxy:+https_proxy}
}

# Nothing is started, and what a loss of power would damage is made anew.
configure_packages() {
  printf '%s\n' '#!/bin/sh' 'exit 101' > "$half/usr/sbin/policy-rc.d"
  chmod 0755 "$half/usr/sbin/policy-rc.d"
  printf '%s\n' force-unsafe-io 'path-exclude=/usr/share/doc/*' 'path-exclude=/usr/share/man/*' \
    > "$half/etc/dpkg/dpkg.cfg.d/tests"
  mount --rbind /dev "$half/dev"
  mount -t proc proc "$half/proc"
}

in_tree() {
  chroot "$half" env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

stop() {
  echo "$1" >&2
  exit 1
}

case $1 in
  make) make "$2" "$3" ;;
  *) main "$@" ;;
esac
