"""Carries data in ICMP: echoes with a payload, and errors that quote a packet which never was."""


def echo(kind, address, family, protocol, number):
    message = struct.pack("!BBHHH", number, 0, 0, 1, 1) + b"secret data"
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    with socket.socket(family, kind, protocol) as client:
        client.sendto(message, (address, 0))
    return "sent"


V4, V6 = (socket.AF_INET, socket.IPPROTO_ICMP, 8), (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128)
step("an echo request", lambda: echo(socket.SOCK_DGRAM, DENIED_V4, *V4))
step("an echo request, IPv6", lambda: echo(socket.SOCK_DGRAM, DENIED_V6, *V6))
step("an echo request by raw socket", lambda: echo(socket.SOCK_RAW, DENIED_V4, *V4))
step("an echo request by raw socket, IPv6", lambda: echo(socket.SOCK_RAW, DENIED_V6, *V6))


def error(kind, inner_from, inner_to):
    """An ICMP error about a packet of a connection, as a router on the way would send it."""
    inner = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 17, 0, socket.inet_aton(inner_from), socket.inet_aton(inner_to))
    body = struct.pack("!BBHI", kind, 1, 0, 0) + inner + udp_header(b"secret")
    return raw_ipv4(ipv4(1, body[:2] + struct.pack("!H", checksum(body)) + body[4:]))


step("an error about a connection to an allowed host", lambda: error(3, ALLOWED_V4, own_address()))
step("an error about nothing at all", lambda: error(11, DENIED_V4, "192.0.2.7"))
step("a redirect", lambda: error(5, ALLOWED_V4, own_address()))
step("neighbour discovery with another hop limit", lambda: raw_ipv6(58, struct.pack("!BBHI16s", 135, 0, 0, 0, socket.inet_pton(socket.AF_INET6, DENIED_V6))))
