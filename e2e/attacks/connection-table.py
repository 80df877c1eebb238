"""Fills the table of connections, and tries in between and afterwards."""

COUNT = 20_000


def fill():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        for number in range(COUNT):
            try:
                client.sendto(b"x", (ALLOWED_V4, 10_000 + number))
            except BlockingIOError:
                pass
            if number == COUNT // 2:
                step("half-way", lambda: udp(DENIED_V4, 9000))
    return "done"


step(f"{COUNT} connections", fill)
step("a datagram", lambda: udp(DENIED_V4, 9000))
step("a connection", lambda: tcp(DENIED_V4, 80))
