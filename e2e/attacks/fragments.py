"""Sends what it has to say in pieces that look like something else, or overlap."""

MORE = 0x2000
step("a large datagram, which the kernel cuts up", lambda: udp(DENIED_V4, 9000, message=b"x" * 8000))
step("a large datagram over IPv6", lambda: udp(DENIED_V6, 9000, message=b"x" * 8000))
step("a first fragment too small for its ports", lambda: raw_ipv4(ipv4(17, udp_header(b"x" * 16)[:8], fragment=MORE)))
step("a later fragment alone", lambda: raw_ipv4(ipv4(17, b"x" * 24, fragment=3)))


def overlapping():
    raw_ipv4(ipv4(17, udp_header(b"x" * 24), fragment=MORE, number=7))
    return raw_ipv4(ipv4(17, b"y" * 24, fragment=1, number=7))


step("fragments that overlap", overlapping)
step("a fragment header to a denied host, IPv6", lambda: raw_ipv6(44, bytes([17, 0, 0, 1, 0, 0, 0, 7]) + udp_header(b"x")))
step("an atomic fragment, IPv6", lambda: raw_ipv6(44, bytes([17, 0, 0, 0, 0, 0, 0, 8]) + udp_header(b"x")))
