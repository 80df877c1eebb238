#!/bin/bash
# The first process of a lab. It runs in new mount, pid, network, ipc and uts namespaces, turns
# them into a machine of its own and then waits: with it everything ends that the lab ever started.
# Nothing here touches the real system; the one trace outside is the cgroup $LAB_NAME.
#
# Environment: LAB_NAME, LAB_USER, LAB_UID, LAB_TREE (of another distribution), LAB_NODE, LAB_RUNTIME, LAB_SHIELD,
# LAB_HIDE (one path a line), LAB_NAMESERVERS. All but the first three and the last may be empty.
set -Eeuo pipefail
trap 'echo "the lab could not be set up: $BASH_COMMAND" >&2' ERR

# Nothing that a lab does changes the tree, which others use at the same time.
distribution_tree() {
  [ -n "$LAB_TREE" ] || return 0
  mount --bind "$LAB_TREE" "$LAB_TREE"
  mount -o remount,bind,ro "$LAB_TREE"
}

# A node outside /usr and the installation may lie where the lab's own directories will cover them,
# or where only root can read.
installed_programs() {
  mount -t tmpfs -o mode=0755 lab "$LAB_TREE/run"
  mkdir -p "$LAB_TREE/run/lab/bin" "$LAB_TREE/run/lab/shield"
  case $LAB_NODE in
    '' | /usr/*) ;;
    *) : > /run/lab/bin/node
       mount --bind "$LAB_NODE" /run/lab/bin/node ;;
  esac
  if [ -n "$LAB_SHIELD" ]; then
    mount --bind "$LAB_SHIELD" "$LAB_TREE/run/lab/shield"
    mount -o remount,bind,ro "$LAB_TREE/run/lab/shield"
  fi
}

# With chroot alone, the kernel would refuse user namespaces.
enter_tree() {
  [ -n "$LAB_TREE" ] || return 0
  for directory in /dev /proc /sys; do
    mount --rbind "$directory" "$LAB_TREE$directory"
  done
  cd "$LAB_TREE"
  mkdir run/lab/outside
  pivot_root . run/lab/outside
  umount -l /run/lab/outside
  rmdir /run/lab/outside
}

private_directories() {
  private_view /etc
  private_view /usr
  private_view /var
  for directory in /home /root /tmp /var/tmp /dev/shm; do
    mount -t tmpfs -o mode=0755 lab "$directory"
  done
  chmod 1777 /tmp /var/tmp /dev/shm
  chmod 0700 /root
  mkdir -p "/run/user/$LAB_UID" "/home/$LAB_USER"
  chmod 0700 "/run/user/$LAB_UID" "/home/$LAB_USER"
  chown "$LAB_UID:$LAB_UID" "/run/user/$LAB_UID" "/home/$LAB_USER"
}

# Changes to the directory's files stay in the lab.
private_view() {
  local upper="/run/lab/changed$1"
  mkdir -p "$upper/files" "$upper/work"
  mount -t overlay -o "lowerdir=$1,upperdir=$upper/files,workdir=$upper/work" lab "$1"
}

accounts() {
  local subordinate=$((LAB_UID + 1000000))
  printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin' \
    "$LAB_USER:x:$LAB_UID:$LAB_UID::/home/$LAB_USER:/bin/sh" > /etc/passwd
  printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' "$LAB_USER:x:$LAB_UID:" > /etc/group
  echo "$LAB_USER:$subordinate:65536" | tee /etc/subuid > /etc/subgid
}

host_settings() {
  hostname lab
  printf '%s\n' '127.0.0.1 localhost lab' '::1 localhost' > /etc/hosts
  echo 'hosts: files dns' > /etc/nsswitch.conf
  rm -f /etc/resolv.conf # It may be a link into /run.
  printf 'nameserver %s\n' $LAB_NAMESERVERS > /etc/resolv.conf
  mkdir -p /etc/containers
  printf '%s\n' '[engine]' 'cgroup_manager = "cgroupfs"' 'events_logger = "file"' \
    ${LAB_RUNTIME:+"runtime = \"$LAB_RUNTIME\""} \
    '[containers]' 'log_driver = "k8s-file"' > /etc/containers/containers.conf
  printf '%s\n' '[storage]' 'driver = "vfs"' 'runroot = "/run/containers/storage"' \
    'graphroot = "/var/lib/containers/storage"' > /etc/containers/storage.conf
}

# Podman wants the tun device for everybody; on some machines it is root's.
devices() {
  mkdir -p /dev/net
  [ -e /dev/net/tun ] || : > /dev/net/tun
  mknod -m 0666 /run/lab/tun c 10 200
  mount --bind /run/lab/tun /dev/net/tun
}

# crun refuses a tree that is partly cgroup v1.
control_groups() {
  umount -R /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mkdir -p "/sys/fs/cgroup/$LAB_NAME/user"
  chown -R "$LAB_UID:$LAB_UID" "/sys/fs/cgroup/$LAB_NAME"
}

hidden_tools() {
  [ -n "$LAB_HIDE" ] || return 0
  xargs -d '\n' rm -f -- <<< "$LAB_HIDE"
}

# One wire between the host and an internet where every address is local, so that all of them answer.
networks() {
  : > /run/lab/internet
  unshare --net=/run/lab/internet true
  plain_settings
  in_internet bash -c "$(declare -f plain_settings); plain_settings"
  ip link add internet0 type veth peer name host0 netns /run/lab/internet
  ip -batch - << 'END'
link set lo up
link set internet0 up
address add 172.31.255.2/30 dev internet0
address add fd77:ffff::2/64 dev internet0 nodad
route add default via 172.31.255.1
route add default via fd77:ffff::1
END
  # The added rule only keeps the tables local and main apart: until there is one, the kernel
  # searches both as a single table, and `throw` ends the search.
  in_internet sysctl -qw net.ipv4.ip_nonlocal_bind=1 net.ipv6.ip_nonlocal_bind=1
  in_internet ip -batch - << 'END'
link set lo up
link set host0 up
address add 172.31.255.1/30 dev host0
address add fd77:ffff::1/64 dev host0 nodad
rule add priority 1000 table main
route add throw 172.31.255.0/30 table local
route add throw fd77:ffff::/64 table local
route add throw fe80::/10 table local
route add local 0.0.0.0/0 dev lo table local
route add local ::/0 dev lo table local
END
  # What arrives is logged as it arrives: every attempt at a TCP connection, every other packet.
  in_internet nft -f - << 'END'
table inet arrivals {
  chain prerouting {
    type filter hook prerouting priority raw;
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld-listener-report, mld2-listener-report } return
    tcp flags & (syn | ack) == syn log group 1 queue-threshold 1 return
    meta l4proto != tcp log group 1 queue-threshold 1
  }
}
END
}

plain_settings() {
  sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 \
    net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
    net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
}

in_internet() {
  nsenter --net=/run/lab/internet "$@"
}

distribution_tree
installed_programs
enter_tree
private_directories
accounts
host_settings
devices
control_groups
networks
hidden_tools
mount --make-rshared / # Podman's namespace has to receive what is mounted later.
echo ready
exec < /dev/null > /dev/null 2>&1
exec catatonit -P
