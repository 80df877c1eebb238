"""Picks its own source: ports that rules like to trust, and addresses that are not its own."""


def from_port(port):
    return lambda client: client.bind(("", port))


for port in (53, 67, 80, 123, 443):
    step(f"udp from port {port}", lambda: udp(DENIED_V4, 9000, from_port(port)))
for port in (20, 53, 80, 443):
    step(f"tcp from port {port}", lambda: tcp(DENIED_V4, 80, from_port(port)))
step("from loopback", lambda: udp(DENIED_V4, 9000, lambda client: client.bind(("127.0.0.1", 0))))


def free(level, option, address):
    def prepare(client):
        client.setsockopt(level, option, 1)
        client.bind((address, 0))
    return prepare


step("from another's address, IPv4", lambda: udp(DENIED_V4, 9000, free(socket.SOL_IP, 15, ALLOWED_V4)))
step("from another's address, IPv6", lambda: udp(DENIED_V6, 9000, free(41, 78, ALLOWED_V6)))
step("from another's address, transparently", lambda: udp(DENIED_V4, 9000, free(socket.SOL_IP, 19, ALLOWED_V4)))


def with_source(level, kind, data, flags=0):
    """A source that the packet names for itself."""
    def send():
        with socket.socket(family_of(DENIED_V4 if level == socket.SOL_IP else DENIED_V6), socket.SOCK_DGRAM) as client:
            to = (DENIED_V4 if level == socket.SOL_IP else DENIED_V6, 9000)
            for _ in range(2):
                client.sendmsg([b"x"], [(level, kind, data)] if data else [], flags, to)
        return "sent"
    return send


V6_SOURCE = socket.inet_pton(socket.AF_INET6, ALLOWED_V6) + struct.pack("=I", 0)
step("by a packet's own source, IPv4", with_source(socket.SOL_IP, 8, struct.pack("=I4s4s", 0, socket.inet_aton(ALLOWED_V4), bytes(4))))
step("by a packet's own source, the wire's", with_source(socket.SOL_IP, 8, struct.pack("=I4s4s", 0, socket.inet_aton(own_address()), bytes(4))))
step("by a packet's own source, IPv6", with_source(41, 50, V6_SOURCE))
step("as a confirmed neighbour", with_source(socket.SOL_IP, 0, b"", 0x800))  # MSG_CONFIRM


def by_loopback(port, then_the_wire=False):
    """Where all is accepted. What is learned of the connection there, the wire's rules must not trust."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
        for client in (first, second):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        first.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        first.bind((own_address(), 0))
        first.sendto(b"x", (DENIED_V4, port))
        if then_the_wire:
            second.bind(first.getsockname())
            second.sendto(b"x", (DENIED_V4, port))
        return "sent"


step("by the loopback device", lambda: by_loopback(9000))
step("by the loopback device first", lambda: by_loopback(9000, True))
step("by the loopback device first, as a query", lambda: by_loopback(53, True))
