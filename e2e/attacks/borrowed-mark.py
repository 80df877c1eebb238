"""Makes a connection to an address that an entry opens look like one to an address that DNS opened, whose connections are held.

Each end of it is an address that this container does not have (IPV6_FREEBIND), so it can send both ways.
"""

OPENED, LEARNED = ("2001:2::cccc", 7777), (sys.argv[1], int(sys.argv[2]))


def send(source, destination):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.setsockopt(41, 78, 1)  # IPV6_FREEBIND
        client.bind(source)
        client.sendto(b"x", destination)
        return "sent"


step("the way", lambda: send(LEARNED, OPENED))
if "before" in sys.argv:
    step("what looks like an answer", lambda: send(OPENED, LEARNED))
