"""Goes for cloud metadata, carriers' and private networks, and the ends of each range."""

ADDRESSES = (
    "169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254",
    "100.64.0.1", "100.127.255.254", "10.0.0.1", "10.255.255.254", "172.16.0.1", "172.31.0.1",
    "192.168.0.1", "192.168.255.254", "0.1.2.3", "240.0.0.1", "fc00::1", "fdff::1",
)


def tcp_start(address):
    """Not all of them answer even an unshielded container; a SYN on the wire is enough."""
    with socket.socket(family_of(address), socket.SOCK_STREAM) as client:
        client.settimeout(0.2)
        try:
            client.connect((address, 80))
        except socket.timeout:
            pass
    return "sent"


for address in ADDRESSES:
    step(address, lambda: udp(address, 80))
    step(f"{address} by tcp", lambda: tcp_start(address))
