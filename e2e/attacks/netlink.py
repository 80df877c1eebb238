"""Changes rules, routes and links, by the programs for it and by netlink itself."""

step("nft list ruleset", lambda: command("nft", "list", "ruleset"))
step("nft add table", lambda: command("nft", "add table inet hole; delete table inet hole"))
step("ip route add", lambda: command("ip", "route", "add", "192.0.2.0/24", "dev", "lo"))
step("ip rule add", lambda: command("ip", "rule", "add", "priority", "31999", "from", "192.0.2.1", "table", "main"))
step("ip link add dummy", lambda: command("ip", "link", "add", "hole", "type", "dummy"))
step("tc qdisc replace", lambda: command("tc", "qdisc", "add", "dev", "lo", "clsact"))
step("a sysctl", lambda: open("/proc/sys/net/ipv4/ip_forward", "w").write("1") and "done")
step("a tun device", lambda: os.close(os.open("/dev/net/tun", os.O_RDWR)))


def netfilter(message_type, body):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as link:
        head = struct.pack("=IHHII", 16 + len(body), message_type, 5, 1, 0)
        link.settimeout(5)
        link.send(head + body)
        answer = link.recv(4096)
        code = -struct.unpack("=i", answer[16:20])[0]
        if code:
            raise OSError(code, "netlink")


# Message types: subsystem << 8 | command. The body begins with family, version and resource.
step("netlink: list of connections", lambda: netfilter(1 << 8 | 1, struct.pack("!BBH", 2, 0, 0)))
step("netlink: flush of connections", lambda: netfilter(1 << 8 | 2, struct.pack("!BBH", 2, 0, 0)))
