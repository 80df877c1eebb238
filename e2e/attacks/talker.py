"""Hears a server that goes on talking, and tells when it is told to whether it still does."""

address = sys.argv[1]
with socket.socket(family_of(address), socket.SOCK_DGRAM) as client:
    client.settimeout(5)
    client.sendto(b"x", (address, 9100))
    step("at first", lambda: "heard" if client.recv(64) else "nothing")
    sys.stdin.readline()
    client.setblocking(False)
    try:
        while client.recv(64):
            pass
    except BlockingIOError:
        pass
    client.settimeout(1)
    step("afterwards", lambda: "heard" if client.recv(64) else "nothing")
