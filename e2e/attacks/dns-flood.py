"""Drowns the resolver: in queries, and in connections, for each of which it starts a process."""

import time

with open("/etc/resolv.conf") as file:
    RESOLVER = [line.split()[1] for line in file if line.startswith("nameserver")][0]
QUERY = b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\x04evil\x04test" + struct.pack("!BHH", 0, 1, 1)


def queries(count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((RESOLVER, 53))
        for _ in range(count):
            client.send(QUERY)
    return "sent"


def connections(count):
    """Begins them, and waits for none."""
    for _ in range(count):
        with socket.socket() as client:
            client.setblocking(False)
            client.connect_ex((RESOLVER, 53))
    return "sent"


def one_more():
    """Who asks no more than that is answered."""
    deadline = time.monotonic() + 5
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.1)
        client.connect((RESOLVER, 53))
        while time.monotonic() < deadline:
            try:
                client.send(QUERY)
                return "answered" if client.recv(512) else "closed"
            except PermissionError:
                time.sleep(0.01)
            except socket.timeout:
                pass
    return "silence"


if "connections" not in sys.argv:
    step("5000 queries", lambda: queries(5000))
step("1500 connections", lambda: connections(1500))
step("a query, in peace", one_more)
