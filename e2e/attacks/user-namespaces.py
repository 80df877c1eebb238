"""Becomes root of a user namespace of its own, and goes for the network namespace around it."""


def new_namespace(flag):
    """In a child: what was entered is not left again."""
    child = os.fork()
    if child == 0:
        os._exit(0 if LIBC.unshare(flag) == 0 else ctypes.get_errno())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, "unshare")


def setns(path):
    with open(path) as namespace:
        if LIBC.setns(namespace.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    return "done"


step("rules, as root of a new user namespace", lambda: command("unshare", "-Ur", "nft", "add table inet hole"))
step("a new network namespace, and back", lambda: command("unshare", "-Urn", "nsenter", "--net=/proc/1/ns/net", "nft", "add table inet hole"))
step("the first process's namespaces", lambda: command("nsenter", "-t", "1", "--net", "nft", "add table inet hole"))
step("from a nested one to the denied address", lambda: command("unshare", "-Ur", "bash", "-c", f"exec 3<>/dev/tcp/{DENIED_V4}/9000"))
WIRE = ("ip", "link", "add", "hole0", "type", "veth", "peer", "name", "hole1", "netns", "1")
step("a wire from a new network into the one around it", lambda: command("unshare", "-n", *WIRE))
step("the same, as root of a new user namespace", lambda: command("unshare", "-Urn", *WIRE))
step("setns, to the network of the first process", lambda: setns("/proc/1/ns/net"))
for flag, name in ((0x10000000, "user"), (0x40000000, "network")):
    step(f"clone of a {name} namespace", lambda: new_namespace(flag))
