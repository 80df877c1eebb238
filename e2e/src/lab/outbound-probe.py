"""Run inside a container: tries every [PROTOCOL, HOST, PORT] of the JSON list in its argument at once, once for each address of HOST.

Prints a JSON list: for each, the addresses and what came of them: "passed", or the name of the error. A datagram has passed when
it could be sent: whether it arrives is for the other side to tell.
"""

import concurrent.futures
import errno
import json
import socket
import struct
import sys


def attempt(target):
    protocol, host, port = target
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    try:
        found = socket.getaddrinfo(host, port, type=kind)
    except OSError:
        return {}
    return {address[0]: exchange(family, kind, address) for family, _, _, _, address in found}


def exchange(family, kind, address):
    with socket.socket(family, kind) as client:
        client.settimeout(15)
        if kind == socket.SOCK_STREAM:
            # Ends with a reset, so that nothing stays behind that the next attempt stumbles over.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            client.connect(address)
            client.send(b"x")
            return "passed"
        except socket.timeout:
            return "silence"
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error))


with concurrent.futures.ThreadPoolExecutor(100) as pool:
    print(json.dumps(list(pool.map(attempt, json.loads(sys.argv[1])))))
