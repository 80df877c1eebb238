"""Listens in a container's network namespace to all that leaves it by its wire. wiretap.ts runs it, from outside.

For each line of standard input it prints what left since the line before: `[protocol, address, port]` each.
"""

import json
import socket
import struct
import sys

OUTGOING = 4
NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
# What the kernel says by itself to find its neighbours and routers.
NEIGHBOUR_DISCOVERY = (133, 134, 135, 136, 143)
EXTENSIONS = (0, 43, 60)


def parse(frame):
    if frame[0] >> 4 == 4:
        protocol, address, data = frame[9], socket.inet_ntoa(frame[16:20]), frame[(frame[0] & 15) * 4:]
        is_first = struct.unpack("!H", frame[6:8])[0] & 0x1FFF == 0
    else:
        protocol, address, data, is_first = frame[6], socket.inet_ntop(socket.AF_INET6, frame[24:40]), frame[40:], True
        while protocol in EXTENSIONS and len(data) >= 8:
            protocol, data = data[0], data[data[1] * 8 + 8:]
        if protocol == 58 and data[:1] and data[0] in NEIGHBOUR_DISCOVERY and frame[7] == 255 or protocol == 58 and data[0] == 143:
            return None
    port = struct.unpack("!H", data[2:4])[0] if protocol in (6, 17) and is_first and len(data) >= 4 else None
    return [NAMES.get(protocol, str(protocol)), address, port]


with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)) as wire:
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    wire.setblocking(False)
    print("[]", flush=True)
    for _ in sys.stdin:
        left = []
        while True:
            try:
                frame, (device, ethertype, kind, *_) = wire.recvfrom(65536)
            except BlockingIOError:
                break
            if kind == OUTGOING and device != "lo" and ethertype in (0x0800, 0x86DD):
                packet = parse(frame)
                if packet is not None and packet not in left:
                    left.append(packet)
        print(json.dumps(left), flush=True)
