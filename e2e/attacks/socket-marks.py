"""Marks its packets as the shield marks its own."""

MARKS = {"query": 0x7E510000, "learned": 0x7E520000, "inbound": 0x7E530001, "allowed": 0x7E530002, "bypass": 0x7E530004}


def marked(mark):
    return udp(DENIED_V4, 9000, lambda client: client.setsockopt(socket.SOL_SOCKET, 36, mark))


for name, mark in MARKS.items():
    step(f"the mark of {name}", lambda: marked(mark))
step("a priority of the network's control", lambda: udp(DENIED_V4, 9000, lambda client: client.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 7)))
step("another device", lambda: udp(DENIED_V4, 9000, lambda client: client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, DEVICE.encode())))
