"""Hides the address that a packet is for in options, extension headers and fragments."""


def source_route(kind):
    """What the option names is where the kernel sends it first."""
    option = bytes([kind, 7, 4]) + socket.inet_aton(ALLOWED_V4) + b"\0"
    return lambda: udp(DENIED_V4, 9000, lambda client: client.setsockopt(socket.SOL_IP, socket.IP_OPTIONS, option))


def written_source_route(kind):
    option = bytes([kind, 7, 4]) + socket.inet_aton(DENIED_V4) + b"\0"
    return lambda: raw_ipv4(ipv4(17, udp_header(b"x"), ALLOWED_V4, option), ALLOWED_V4)


step("loose source route by an allowed host", source_route(131))
step("strict source route by an allowed host", source_route(137))
step("loose source route written by hand", written_source_route(131))
step("strict source route written by hand", written_source_route(137))
step("record route to a denied host", lambda: udp(DENIED_V4, 9000, lambda c: c.setsockopt(socket.SOL_IP, socket.IP_OPTIONS, bytes([7, 7, 4, 0, 0, 0, 0, 0]))))
step("router alert to a denied host", lambda: udp(DENIED_V4, 9000, lambda c: c.setsockopt(socket.SOL_IP, socket.IP_OPTIONS, bytes([148, 4, 0, 0]))))


def routing_header(kind):
    header = bytes([0, 2, kind, 1, 0, 0, 0, 0]) + socket.inet_pton(socket.AF_INET6, DENIED_V6)
    return lambda: udp(ALLOWED_V6, 9000, lambda client: client.setsockopt(41, 57, header))  # IPV6_RTHDR


step("routing header 0 by an allowed host", routing_header(0))
step("routing header 2 by an allowed host", routing_header(2))
step("destination options to a denied host", lambda: udp(DENIED_V6, 9000, lambda c: c.setsockopt(41, 59, bytes([0, 0, 1, 4, 0, 0, 0, 0]))))
step("hop-by-hop options to a denied host", lambda: udp(DENIED_V6, 9000, lambda c: c.setsockopt(41, 54, bytes([0, 0, 1, 4, 0, 0, 0, 0]))))
step("a routing header written by hand", lambda: raw_ipv6(43, bytes([17, 2, 0, 1, 0, 0, 0, 0]) + socket.inet_pton(socket.AF_INET6, DENIED_V6) + udp_header(b"x"), ALLOWED_V6))
