"""Two network namespaces joined by a veth: a shielded one, and an internet that answers on every address of argv.

Started by packet-lab.ts under `unshare --user --map-root-user --net`. Reads one JSON command a line, `[who, verb,
arguments]`, and prints `{"value": …}` or `{"error": "ENAME"}`. `who` is "workload" (root without capabilities, as in
a container), "resolver" (may set packet marks) or "internet" (the other namespace); "kernel" runs a program here.
"""

import ctypes, errno, ipaddress, json, os, selectors, socket, struct, subprocess, sys, threading, time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
PORTS = (53, 80, 443)
SECONDS = 0.9  # Less than TCP waits before it sends a SYN again: a refusal that comes only then is a time-out here.
PING = {4: bytes.fromhex("0800000000010001"), 6: bytes.fromhex("8000000000010001")}
SO_BINDTODEVICE, IP_FREEBIND, IPV6_FREEBIND, IPV6_RTHDR = 25, 15, 78, 57


def main(addresses):
    internet = Process(lambda: LIBC.unshare(CLONE_NEWNET) == 0 and Internet())
    link(internet.pid, addresses)
    internet.ask("serve", {})
    processes = {
        "internet": internet,
        "workload": Process(lambda: drop_capabilities() or Sockets()),
        "resolver": Process(Sockets),
        "kernel": Kernel(),
    }
    # The first IPv6 neighbour solicitation takes up to a second on a new link.
    for family, router in ((4, "198.18.0.1"), (6, "2001:2::1")):
        answer = processes["workload"].ask("attempt", {"family": family, "type": "tcp", "to": [router, 80], "seconds": 5})
        if answer != {"value": "answered"}:
            raise SystemExit(f"the lab has no way to {router}: {answer}")
    print(json.dumps({"value": "ready"}), flush=True)
    for line in sys.stdin:
        who, verb, arguments = json.loads(line)
        print(json.dumps(processes[who].ask(verb, arguments)), flush=True)


def link(internet_pid, addresses):
    inside = f"""
        link set lo up
        link add eth0 type veth peer name eth0 netns {internet_pid}
        addr add 198.18.0.2/24 dev eth0
        addr add 2001:2::2/64 dev eth0 nodad
        link set eth0 addrgenmode none
        link set eth0 up
        route add default via 198.18.0.1
        route add default via 2001:2::1"""
    outside = """
        link set lo up
        addr add 198.18.0.1/24 dev eth0
        addr add 2001:2::1/64 dev eth0 nodad
        link set eth0 up""" + "".join(
        f"\naddr add {address} dev lo{' nodad' if ':' in address else ''}" for address in addresses
    )
    run(["ip", "-batch", "-"], inside)
    with open("/proc/sys/net/ipv4/ping_group_range", "w") as file:
        file.write("0 0")
    run(["nsenter", "-t", str(internet_pid), "-n", "ip", "-batch", "-"], outside)


def run(command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


class Kernel:
    def ask(self, verb, arguments):
        done = subprocess.run([verb, *arguments["args"]], input=arguments.get("stdin"), capture_output=True, text=True)
        return {"value": done.stdout} if done.returncode == 0 else {"error": done.stderr}


class Process:
    """A forked process that carries out verbs, one at a time."""

    def __init__(self, make):
        self.channel, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self.channel.close()
            with theirs.makefile("rw") as lines:
                actor = make()
                reply(lines, {"value": "ready"})
                for line in lines:
                    verb, arguments = json.loads(line)
                    try:
                        reply(lines, {"value": getattr(actor, verb)(**arguments)})
                    except TimeoutError:
                        reply(lines, {"error": "ETIMEDOUT"})
                    except OSError as error:
                        reply(lines, {"error": errno.errorcode.get(error.errno, str(error))})
            os._exit(0)
        theirs.close()
        self.lines = self.channel.makefile("rw")
        self.lines.readline()

    def ask(self, verb, arguments):
        reply(self.lines, [verb, arguments])
        return json.loads(self.lines.readline())


def reply(lines, value):
    lines.write(json.dumps(value) + "\n")
    lines.flush()


def drop_capabilities(kept=1 << 10):  # NET_BIND_SERVICE, which podman leaves to root.
    header = struct.pack("Ii", 0x20080522, 0)
    data = struct.pack("6I", kept, kept, 0, 0, 0, 0)
    if LIBC.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


class Sockets:
    def __init__(self):
        self.sockets = {}

    def open(self, id, **options):
        self.sockets[id] = make_socket(**options)

    def connect(self, id, to):
        self.sockets[id].connect(tuple(to))

    def listen(self, id):
        self.sockets[id].listen()

    def accept(self, id, connection):
        self.sockets[connection], peer = self.sockets[id].accept()
        self.sockets[connection].settimeout(SECONDS)
        return peer[0]

    def send(self, id, text, to=None):
        data = text.encode()
        return self.sockets[id].send(data) if to is None else self.sockets[id].sendto(data, tuple(to))

    def receive(self, id):
        return self.sockets[id].recv(2048).decode()

    def port(self, id):
        return self.sockets[id].getsockname()[1]

    def close(self, id):
        self.sockets.pop(id).close()

    def close_all(self):
        """At once and for good: a connection says goodbye now or never."""
        for sock in self.sockets.values():
            if sock.type == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        self.sockets.clear()

    def attempt(self, to, seconds=None, **options):
        """Connects, sends and waits for the echo."""
        with make_socket(**options) as sock:
            sock.settimeout(seconds or SECONDS)
            sock.connect(tuple(to))
            sock.send(b"x" if options["type"] != "icmp" else PING[options["family"]])
            sock.recv(2048)
            return "answered"

    def start_sending(self, ids=(), fresh=()):
        """Sends datagrams in the background, on the sockets and to the addresses from a new socket each time, and
        counts what of each could not be sent."""
        self.sending = True
        self.failures = {key: 0 for key in (*ids, *fresh)}

        def send():
            while self.sending:
                for id in ids:
                    self.try_sending(id, self.sockets[id].send, b"x")
                for address in fresh:
                    with make_socket(6 if ":" in address else 4, "udp") as sock:
                        self.try_sending(address, sock.sendto, b"x", (address, 80))
                time.sleep(0.0002)

        self.sender = threading.Thread(target=send)
        self.sender.start()

    def try_sending(self, key, send, *arguments):
        try:
            send(*arguments)
        except OSError:
            self.failures[key] += 1

    def stop_sending(self):
        self.sending = False
        self.sender.join()
        return self.failures


def make_socket(family, type, mark=None, device=None, source=None, foreign=False, ip_options=None, rthdr=None):
    kind = socket.SOCK_STREAM if type == "tcp" else socket.SOCK_DGRAM
    protocol = {("icmp", 4): socket.IPPROTO_ICMP, ("icmp", 6): socket.IPPROTO_ICMPV6}.get((type, family), 0)
    sock = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, kind, protocol)
    sock.settimeout(SECONDS)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == 4 and type == "udp":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if foreign:
        level, option = (socket.IPPROTO_IP, IP_FREEBIND) if family == 4 else (socket.IPPROTO_IPV6, IPV6_FREEBIND)
        sock.setsockopt(level, option, 1)
    if mark is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    if device is not None:
        sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, device.encode())
    if ip_options is not None:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes.fromhex(ip_options))
    if rthdr is not None:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RTHDR, bytes.fromhex(rthdr))
    if source is not None:
        sock.bind(tuple(source))
    return sock


class Internet(Sockets):
    """Echoes what comes on the ports, and writes down every IP packet that arrives from the shielded side."""

    def serve(self):
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.wire.bind(("eth0", 3))
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self.wire.setblocking(False)
        threading.Thread(target=echo, daemon=True).start()

    def arrivals(self):
        time.sleep(0.01)
        seen = []
        while True:
            try:
                packet, (_, protocol, direction, *_) = self.wire.recvfrom(2048)
            except BlockingIOError:
                return seen
            if direction != socket.PACKET_OUTGOING and protocol in (0x0800, 0x86DD):
                seen.append(describe(packet))


def describe(packet):
    """`udp 192.0.2.1:80`, by what the wire says."""
    if packet[0] >> 4 == 4:
        protocol, target, body = packet[9], packet[16:20], packet[(packet[0] & 15) * 4 :]
    else:
        protocol, target, body = packet[6], packet[24:40], packet[40:]
        while protocol in (0, 43, 44, 60):
            protocol, body = body[0], body[8 + (0 if protocol == 44 else body[1] * 8) :]
    address = str(ipaddress.ip_address(target))
    if protocol in (6, 17):
        return f"{'tcp' if protocol == 6 else 'udp'} {address}:{struct.unpack('!H', body[2:4])[0]}"
    if protocol in (1, 58):
        return f"{'icmp' if protocol == 1 else 'icmpv6'} type {body[0]} {address}"
    return f"protocol {protocol} {address}"


def echo():
    selector = selectors.DefaultSelector()
    for port in PORTS:
        for family, wildcard in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                sock = socket.socket(family, kind)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
                else:
                    sock.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
                sock.bind((wildcard, port))
                if kind == socket.SOCK_STREAM:
                    sock.listen(64)
                selector.register(sock, selectors.EVENT_READ, kind)
    while True:
        for key, _ in selector.select():
            try:
                if key.data == socket.SOCK_DGRAM:
                    data, ancillary, _, sender = key.fileobj.recvmsg(2048, 256)
                    key.fileobj.sendmsg([data], ancillary, 0, sender)
                elif key.data == socket.SOCK_STREAM:
                    connection, _ = key.fileobj.accept()
                    selector.register(connection, selectors.EVENT_READ, "connection")
                else:
                    data = key.fileobj.recv(2048)
                    if not data:
                        raise ConnectionResetError
                    key.fileobj.send(data)
            except OSError:
                if key.data == "connection":
                    selector.unregister(key.fileobj)
                    key.fileobj.close()


if __name__ == "__main__":
    main(sys.argv[1:])
