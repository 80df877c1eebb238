"""What every attacker's program has at hand. attack-lab.ts puts this in front of each of them and runs it as root in a container.

Each `step` prints `[what, outcome]`: what the attacker sees, an errno by its name where there was one.
"""

import ctypes
import errno
import json
import os
import socket
import struct
import subprocess
import sys

DENIED_V4, DENIED_V6 = "198.18.66.66", "2001:2::6666"
ALLOWED_V4, ALLOWED_V6 = "198.18.1.1", "2001:2::aaaa"
LIBC = ctypes.CDLL(None, use_errno=True)


def step(what, action):
    try:
        result = action()
        outcome = result if isinstance(result, str) else "done"
    except socket.timeout:
        outcome = "silence"
    except socket.gaierror:
        outcome = "no such name"
    except subprocess.TimeoutExpired:
        outcome = "silence"
    except OSError as error:
        outcome = errno.errorcode.get(error.errno, str(error))
    tell(what, outcome)


def tell(what, outcome):
    print(json.dumps([what, outcome]), flush=True)


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tcp(address, port, prepare=lambda client: None):
    with socket.socket(family_of(address), socket.SOCK_STREAM) as client:
        client.settimeout(5)
        prepare(client)
        client.connect(socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0][4])
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return "answered" if client.recv(4096) else "closed"


def reach(host, port):
    """Hears what a server says by itself."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        client.connect(address)
        return "answered" if client.recv(64) else "closed"


def udp(address, port, prepare=lambda client: None, message=b"x"):
    """Sends twice: the second one would tell what an ICMP error says of the first."""
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as client:
        prepare(client)
        to = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0][4]
        client.sendto(message, to)
        client.sendto(message, to)
        return "sent"


def command(*words):
    """What a program's exit code says."""
    finished = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, timeout=5)
    return "done" if finished.returncode == 0 else "refused"


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((ALLOWED_V4, 9))
        return client.getsockname()[0]


def ipv4(protocol, payload, to=DENIED_V4, options=b"", fragment=0, number=0x4242):
    """A packet; FRAGMENT is the offset in 8 bytes, with 0x2000 where more follow."""
    words = 5 + len(options) // 4
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x40 | words, 0, words * 4 + len(payload), number, fragment, 64, protocol, 0,
        socket.inet_aton(own_address()), socket.inet_aton(to),
    ) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp_header(payload, port=9000, source=40000):
    return struct.pack("!HHHH", source, port, 8 + len(payload), 0) + payload


def raw_ipv4(packet, to=DENIED_V4):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        sender.sendto(packet, (to, 0))
        return "sent"


def raw_ipv6(next_header, payload, to=DENIED_V6):
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, next_header) as sender:
        sender.sendto(payload, (to, 0))
        return "sent"
