"""Goes for what listens on the host, by its loopback, its gateways' addresses and its own."""

PORT = int(sys.argv[1])


def abstract():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect("\0attack")
        return "answered"


for address in sys.argv[2:]:
    step(f"{address} by tcp", lambda: reach(address, PORT))
step("0.0.0.0", lambda: tcp("0.0.0.0", PORT))
step("::", lambda: tcp("::", PORT))
step("127.0.0.1", lambda: tcp("127.0.0.1", PORT))
step("an abstract socket of the host", lambda: abstract())
