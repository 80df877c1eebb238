"""Run inside a container: tries each TARGET and prints what came of it, one JSON line each.

A TARGET is tcp,HOST,PORT or udp,HOST,PORT, or dns-udp,SERVER,NAME or dns-tcp,SERVER,NAME for a query of NAME's A records.
"""

import errno
import json
import socket
import struct
import sys


def query(name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return b"\x12\x34\x01\x00\x00\x01" + bytes(6) + labels + b"\x00\x00\x01\x00\x01"


def attempt(protocol, host, port):
    if protocol.startswith("dns-"):
        message = query(port)
        if protocol == "dns-tcp":
            message = len(message).to_bytes(2, "big") + message
        return exchange(protocol.removeprefix("dns-"), host, 53, message)
    return exchange(protocol, host, int(port), b"GET / HTTP/1.0\r\n\r\n")


def exchange(protocol, host, port, message):
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=kind)[0]
    except OSError:
        return "no such name"
    with socket.socket(family, kind) as client:
        client.settimeout(10)
        if protocol == "tcp":
            # Ends with a reset, so that thousands of attempts leave nothing behind that the next ones stumble over.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            client.connect(address)
            client.sendall(message)
            return "answered" if client.recv(4096) else "closed"
        except socket.timeout:
            return "silence"
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error))


for target in sys.argv[1:]:
    protocol, host, port = target.split(",")
    print(json.dumps({"target": target, "outcome": attempt(protocol, host, port)}), flush=True)
