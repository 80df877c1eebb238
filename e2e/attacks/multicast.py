"""Calls into the network at large: multicast, broadcast, and the names that go by them."""

ALLOW_BROADCAST = lambda client: client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
step("mDNS", lambda: udp("224.0.0.251", 5353))
step("LLMNR", lambda: udp("224.0.0.252", 5355))
step("SSDP", lambda: udp("239.255.255.250", 1900))
step("all hosts", lambda: udp("224.0.0.1", 9000))
step("broadcast", lambda: udp("255.255.255.255", 9000, ALLOW_BROADCAST))
step("the network's broadcast", lambda: udp(BROADCAST, 9000, ALLOW_BROADCAST))
step("mDNS over IPv6", lambda: udp(f"ff02::fb%{DEVICE}", 5353))
step("all nodes", lambda: udp(f"ff02::1%{DEVICE}", 9000))
step("a global group", lambda: udp("ff0e::1", 9000))


def join(group):
    """The kernel reports that to the network by itself."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as member:
        request = socket.inet_pton(socket.AF_INET6, group) + struct.pack("=I", socket.if_nametoindex(DEVICE))
        member.setsockopt(41, socket.IPV6_JOIN_GROUP, request)
        return "done"


step("a group of its own", lambda: join("ff02::1234"))
