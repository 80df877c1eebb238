"""Goes for the shield's own files and log: to read, to change, and to write lines into it."""

PLACES = ("/run/terok", "/home", "/root/.local/state/terok", "/var/lib/terok", "/proc/1/root/home")


def bundle():
    for place in PLACES:
        for directory, _, files in os.walk(place):
            if "audit.jsonl" in files or "packets.jsonl" in files or "ruleset.nft" in files:
                return "found"
    return "none"


def listen(group):
    """Takes the packet log's place, so that refusals are told to nobody else."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as link:
        config = struct.pack("=HHB3x", 5, 1, 1)
        link.send(struct.pack("=IHHII", 20 + len(config), 4 << 8 | 1, 5, 1, 0) + struct.pack("!BBH", 0, 0, group) + config)
        code = -struct.unpack("=i", link.recv(4096)[16:20])[0]
        if code:
            raise OSError(code, "netlink")


step("a file of the shield", bundle)
step("the packet log's group", lambda: listen(100))
