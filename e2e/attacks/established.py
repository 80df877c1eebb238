"""Pretends to belong to a connection: a socket that is connected, aimed anew, or reused."""


def reconnected():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((ALLOWED_V4, 9000))
        client.send(b"x")
        client.settimeout(5)
        client.recv(16)
        client.connect((DENIED_V4, 9000))
        client.send(b"x")
        return "sent"


def aimed_elsewhere():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", (ALLOWED_V4, 9000))
        client.settimeout(5)
        client.recv(16)
        client.sendto(b"x", (DENIED_V4, 9000))
        return "sent"


def same_port():
    """TCP from the very port of a live allowed connection."""
    with socket.socket() as first, socket.socket() as second:
        for client in (first, second):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            client.settimeout(5)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        first.bind(("", 0))
        first.connect((ALLOWED_V4, 9000))
        second.bind(first.getsockname())
        second.connect((DENIED_V4, 9000))
        return "answered"


def fast_open():
    with socket.socket() as client:
        client.settimeout(5)
        client.sendto(b"x", 0x20000000, (DENIED_V4, 9000))  # MSG_FASTOPEN
        return "sent"


def told(address):
    """What the kernel tells the sender, which then need not wait for an answer."""
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.connect((address, 9000))
        try:
            client.send(b"x")
        except PermissionError:
            pass
        return "answered" if client.recv(16) else "closed"


step("what a datagram is told", lambda: told(DENIED_V4))
step("what a datagram is told, IPv6", lambda: told(DENIED_V6))
step("a datagram socket that is connected anew", reconnected)
step("a datagram socket aimed elsewhere", aimed_elsewhere)
step("the port of a live connection", same_port)
step("data in the SYN", fast_open)
