"""Puts whole frames on the wire, where no rule for IP packets sees them."""

SLIRP_GATEWAY = bytes.fromhex("52550a000202")


def frame(bypass, port):
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as sender:
        if bypass:
            sender.setsockopt(263, 20, 1)  # SOL_PACKET, PACKET_QDISC_BYPASS
        sender.sendto(ipv4(17, udp_header(b"x", port)), ("tap0", 0x0800, 0, 0, SLIRP_GATEWAY))
    return "sent"


step("a frame", lambda: frame(False, 7))
step("a frame past the queue", lambda: frame(True, 9000))
