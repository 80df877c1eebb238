"""A client that does as it is told, in a container or on the host. client.ts appends this to connect-probe.py and runs it.

Each line of standard input is `[number, verb, arguments]`; the answer is `{"id": number, "value": …}`. Commands run at
once and side by side. Times are CLOCK_MONOTONIC in seconds, which the whole machine shares.
"""

import collections
import threading
import time

OUTPUT = threading.Lock()
INTERVAL = 0.02  # Between two messages of a flow.
PATIENCE = 0.2  # With a datagram that may be lost, before the next is sent.
flows = {}
loops = {}


def answer(number, value):
    with OUTPUT:
        print(json.dumps({"id": number, "value": value}), flush=True)


class Flow:
    """A connection, or its like in UDP, that goes on until somebody ends it.

    KIND "stream" reads an HTTP response that never ends, "echo" says something and hears it again all the time, and
    "idle" says nothing unless told to.
    """

    def __init__(self, kind, protocol, host, port):
        tcp = protocol == "tcp"
        family, _, _, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)[0]
        self.socket = socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.socket.connect(address)
        self.kind, self.heard, self.ended, self.closing = kind, 0, None, False
        self.ended_at = None
        if kind == "stream":
            self.socket.sendall(f"GET /stream HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            self.turn = lambda: self.socket.recv(4096)
        else:
            self.turn = self.echo
        self.once()
        if not tcp:
            self.socket.settimeout(PATIENCE)
        if kind != "idle":
            threading.Thread(target=self.run, daemon=True).start()

    def echo(self):
        self.socket.send(b"x")
        return self.socket.recv(4096)

    def once(self):
        if not self.turn():
            raise ConnectionAbortedError(errno.ECONNABORTED, "closed by the other side")
        self.heard += 1

    def run(self):
        heard_at = time.monotonic()
        while not self.closing:
            try:
                self.once()
                heard_at = time.monotonic()
            except socket.timeout:
                if time.monotonic() - heard_at > 5:
                    self.end("silence")
                    return
            except OSError as error:
                self.end(errno.errorcode.get(error.errno, str(error)))
                return
            if self.kind == "echo":
                time.sleep(INTERVAL)

    def end(self, reason):
        self.ended, self.ended_at = reason, time.monotonic()

    def state(self):
        return {"heard": self.heard, "ended": self.ended, "endedAt": self.ended_at}


class Loop:
    """Tries each target again and again, side by side, and counts what came of it."""

    def __init__(self, targets, pause):
        self.pause, self.stopping = pause, False
        self.counts = {target: collections.Counter() for target in targets}
        self.threads = [threading.Thread(target=self.run, args=(target,), daemon=True) for target in targets]
        for thread in self.threads:
            thread.start()

    def run(self, target):
        protocol, host, port = target.split(",")
        while not self.stopping:
            self.counts[target][attempt(protocol, host, port)] += 1
            time.sleep(self.pause)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        return self.counts


def outcomes(targets):
    found = {}

    def one(target):
        found[target] = attempt(*target.split(","))

    threads = [threading.Thread(target=one, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[target] for target in targets]


def open_flow(id, kind, target):
    try:
        flows[id] = Flow(kind, *target.split(","))
        return "answered"
    except socket.gaierror:
        return "no such name"
    except socket.timeout:
        return "silence"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


def say(id):
    try:
        flows[id].once()
        return "answered"
    except socket.timeout:
        return "silence"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


def close_flow(id):
    flow = flows.pop(id)
    flow.closing = True
    flow.socket.close()


def start_loop(id, targets, pause):
    loops[id] = Loop(targets, pause)


def resolve(name):
    """The addresses that the container's C library finds."""
    try:
        return sorted({address[0] for _, _, _, _, address in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)})
    except OSError:
        return []


VERBS = {
    "attempt": lambda targets: outcomes(targets),
    "resolve": resolve,
    "open": open_flow,
    "say": say,
    "state": lambda id: flows[id].state(),
    "close": close_flow,
    "loop": start_loop,
    "stop": lambda id: loops.pop(id).stop(),
}


def obey(number, verb, arguments):
    answer(number, VERBS[verb](**arguments))


answer(0, "ready")
for line in sys.stdin:
    threading.Thread(target=obey, args=json.loads(line), daemon=True).start()
