"""Run inside a container: sends as fast as it can, and prints how often the kernel said no.

packets COUNT: datagrams to many addresses. names COUNT PARENT: queries, each for another name. connections COUNT PARENT:
TCP connections to the resolver, with a hundred queries in each. With SECONDS as fourth argument it goes on for that long,
COUNT a second.
"""

import json
import socket
import struct
import sys
import time

kind, count = sys.argv[1], int(sys.argv[2])
parent = sys.argv[3] if len(sys.argv) > 3 else "flood.test"
seconds = float(sys.argv[4]) if len(sys.argv) > 4 else None

client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.setblocking(False)
tail = b"".join(bytes([len(label)]) + label.encode() for label in parent.split(".")) + b"\0\0\1\0\1"


def packet(index):
    return b"x", (f"198.18.{100 + index // 250 % 50}.{index % 250 + 1}", 1000 + index % 60000)


def query(index):
    label = f"n{index}".encode()
    head = struct.pack(">6H", index & 0xFFFF, 0x100, 1, 0, 0, 0)
    return head + bytes([len(label)]) + label + tail, ("127.0.0.1", 53)


def connect(index):
    message = b"".join(len(text).to_bytes(2, "big") + text for text, _ in map(query, range(index * 100, index * 100 + 100)))
    connection = socket.socket()
    connection.settimeout(0.002)
    try:
        connection.connect(("127.0.0.1", 53))
        connection.sendall(message)
    finally:
        connection.close()


make = packet if kind == "packets" else query
refused = index = 0
began = time.monotonic()
while index < count if seconds is None else time.monotonic() - began < seconds:
    if seconds is not None and index > (time.monotonic() - began) * count:
        time.sleep(0.001)
        continue
    index += 1
    try:
        if kind == "connections":
            connect(index)
        else:
            client.sendto(*make(index))
    except OSError:
        refused += 1
    if kind == "names":
        try:
            while True:
                client.recv(4096)
        except OSError:
            pass
print(json.dumps({"sent": index, "refused": refused}))
