"""Speaks what rules for TCP and UDP do not know."""


def datagram(kind, protocol):
    with socket.socket(socket.AF_INET, kind, protocol) as client:
        client.settimeout(0.3)
        client.connect((DENIED_V4, 9000))
        client.send(b"x")
    return "sent"


step("UDP-Lite", lambda: datagram(socket.SOCK_DGRAM, 136))
step("SCTP", lambda: raw_ipv4(ipv4(132, struct.pack("!HHII", 9, 9000, 0, 0))))
step("DCCP", lambda: raw_ipv4(ipv4(33, struct.pack("!HHII", 9, 9000, 0, 0))))
step("GRE", lambda: raw_ipv4(ipv4(47, struct.pack("!HH", 0, 0x0800) + ipv4(17, udp_header(b"x")))))
step("IPIP", lambda: raw_ipv4(ipv4(4, ipv4(17, udp_header(b"x")))))
step("IPv6 in IPv4", lambda: raw_ipv4(ipv4(41, b"\x60" + bytes(39))))
step("ESP", lambda: raw_ipv4(ipv4(50, bytes(16))))
step("GRE over IPv6", lambda: raw_ipv6(47, struct.pack("!HH", 0, 0x0800)))
step("SCTP over IPv6", lambda: raw_ipv6(132, struct.pack("!HHII", 9, 9000, 0, 0)))
