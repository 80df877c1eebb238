"""Reaches for the network by sockets and calls that few rules know of."""

import mmap


def multipath(address):
    """MPTCP, which may use other ways than the one that was asked for."""
    with socket.socket(family_of(address), socket.SOCK_STREAM, 262) as client:
        client.settimeout(5)
        client.connect((address, 80))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return "answered" if client.recv(4096) else "closed"


def express():
    """AF_XDP, past the kernel's protocols."""
    with socket.socket(44, socket.SOCK_RAW, 0):
        return "done"


def ring():
    """io_uring, which sends without a call that a seccomp list could see."""
    setup, enter, sendmsg = 425, 426, 9
    parameters = ctypes.create_string_buffer(120)
    descriptor = LIBC.syscall(setup, 1, parameters)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "io_uring")
    # Of struct io_uring_params: where in the rings the tail and the array of submissions are, and the completions.
    (tail,), (array,), (completions,) = (struct.unpack_from("=I", parameters, place) for place in (44, 64, 100))
    rings, entries = (mmap.mmap(descriptor, 4096, offset=offset) for offset in (0, 0x10000000))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        data = ctypes.create_string_buffer(b"x", 1)
        vector = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(data), 1))
        name = ctypes.create_string_buffer(struct.pack("=HH4s8x", socket.AF_INET, socket.htons(9000), socket.inet_aton(DENIED_V4)))
        message = ctypes.create_string_buffer(struct.pack("=QI4xQQQQi4x", ctypes.addressof(name), 16, ctypes.addressof(vector), 1, 0, 0, 0))
        entries[0:64] = struct.pack("=BBHiQQII32x", sendmsg, 0, 0, client.fileno(), 0, ctypes.addressof(message), 1, 0)
        struct.pack_into("=I", rings, array, 0)
        struct.pack_into("=I", rings, tail, 1)
        if LIBC.syscall(enter, descriptor, 1, 1, 1, None, 0) < 0:
            raise OSError(ctypes.get_errno(), "io_uring")
        code = struct.unpack_from("=i", rings, completions + 8)[0]
        if code < 0:
            raise OSError(-code, "io_uring")
    return "sent"


step("multipath TCP", lambda: multipath(DENIED_V4))
step("multipath TCP over IPv6", lambda: multipath(DENIED_V6))
step("an XDP socket", express)
step("an io_uring", ring)
