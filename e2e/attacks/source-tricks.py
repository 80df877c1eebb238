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
