"""Fills the table of connections to its end, and goes for a denied host in between and afterwards."""


def setting(name):
    with open(f"/proc/sys/net/netfilter/nf_conntrack_{name}") as file:
        return int(file.read())


def fill():
    """By loopback, where all is accepted: a connection for each address of it."""
    size = setting("max")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        deaf.bind(("", 0))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        port = deaf.getsockname()[1]
        for number in range(size + size // 10):
            try:
                client.sendto(b"x", (f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}", port))
            except PermissionError:
                pass
            if number == size // 2:
                step("a datagram, half-way", datagram)
    return "full" if setting("count") > size * 0.9 else "not full"


def refused(action):
    """Whether the rules refuse it or there is no room for it."""
    def attempt():
        try:
            return action()
        except (socket.timeout, OSError):
            return "refused"
    return attempt


datagram = refused(lambda: udp(DENIED_V4, 9000))
step("the table", fill)
step("a datagram", datagram)
step("a connection", refused(lambda: tcp(DENIED_V4, 80)))
step("a connection over IPv6", refused(lambda: tcp(DENIED_V6, 80)))
