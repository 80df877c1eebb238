"""Writes IP packets by hand, past the kernel's own sockets."""

step("udp in a packet of its own, IPv4", lambda: raw_ipv4(ipv4(17, udp_header(b"x"))))
step("udp of a raw socket, IPv6", lambda: raw_ipv6(17, udp_header(b"x")))
step("tcp SYN of its own", lambda: raw_ipv4(ipv4(6, struct.pack("!HHIIBBHHH", 40001, 9000, 1, 0, 0x50, 2, 64240, 0, 0))))
step("tcp ACK without a connection", lambda: raw_ipv4(ipv4(6, struct.pack("!HHIIBBHHH", 40002, 9000, 1, 1, 0x50, 16, 64240, 0, 0))))
step("a packet with an unknown protocol", lambda: raw_ipv4(ipv4(253, b"x" * 8)))
