# What a program sees of a network, from inside a container. Prints one number.
# connect HOST PORT THREADS SECONDS: connections a second. resolve SERVER NAME COUNT: queries a second.
import socket, struct, sys, threading, time


def connect(host, port, threads, seconds):
    counts = [0] * threads
    end = time.perf_counter() + seconds

    def work(index):
        while time.perf_counter() < end:
            socket.create_connection((host, port)).close()
            counts[index] += 1

    workers = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / seconds


def resolve(server, name, count):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(5)
    sock.connect((server, 53))
    began = time.perf_counter()
    for number in range(count):
        sock.send(struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">2H", 1, 1))
        while struct.unpack(">H", sock.recv(4096)[:2])[0] != number:
            pass
    return count / (time.perf_counter() - began)


kind, host, *numbers = sys.argv[1:]
if kind == "connect":
    print(connect(host, int(numbers[0]), int(numbers[1]), float(numbers[2])))
else:
    print(resolve(host, numbers[0], int(numbers[1])))
