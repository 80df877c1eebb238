"""Puts whole frames on the wire, where no rule for IP packets sees them."""

udp(ALLOWED_V4, 9000)  # So that the kernel has found the gateway.
with open("/proc/net/arp") as file:
    GATEWAY = [bytes.fromhex(line.split()[3].replace(":", "")) for line in file if line.rstrip().endswith(DEVICE)][0]


def frame(bypass, port):
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as sender:
        if bypass:
            sender.setsockopt(263, 20, 1)  # SOL_PACKET, PACKET_QDISC_BYPASS
        sender.sendto(ipv4(17, udp_header(b"x", port)), (DEVICE, 0x0800, 0, 0, GATEWAY))
    return "sent"


step("a frame", lambda: frame(False, 7))
step("a frame past the queue", lambda: frame(True, 9000))
