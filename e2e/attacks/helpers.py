"""Looks for the shield's helpers, to stop, trace or end them."""

HELPERS = ("dnsmasq", "ulogd", "terok-shield-keeper")


def seen():
    names = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline") as file:
                words = file.read().split("\0")
            with open(f"/proc/{process}/status") as file:
                uid = [int(line.split()[1]) for line in file if line.startswith("Uid:")][0]
        except OSError:
            continue
        if uid == os.getuid() and any(word.endswith(helper) for helper in HELPERS for word in words[:4]):
            names.append(process)
    return names


def attach(process):
    if LIBC.ptrace(16, process, 0, 0) != 0:  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")
    os.waitpid(process, 0)
    LIBC.ptrace(17, process, 0, 0)  # PTRACE_DETACH


step("helpers to be seen", lambda: "none" if not seen() else "some")
step("a signal to any of them", lambda: [os.kill(int(helper), 0) for helper in seen()] and "done" or "none")
step("ptrace of any of them", lambda: [attach(int(helper)) for helper in seen()] and "done" or "none")


def socket_of_resolver(address):
    """A resolver's own place, for answers of the attacker's making."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))


with open("/etc/resolv.conf") as file:
    RESOLVER = [line.split()[1] for line in file if line.startswith("nameserver")][0]
step("the resolver's own port", lambda: socket_of_resolver(RESOLVER))
