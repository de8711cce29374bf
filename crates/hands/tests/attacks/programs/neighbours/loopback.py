# Connects to a server on the loopback interface of the sandbox next door.
# control: neighbour
import socket

from attack import attempt, canary, given


def tcp(host, port):
    with socket.create_connection((host, port), 2) as stream:
        stream.sendall(b"next door\r\n")
        return canary(stream.recv(4096) + stream.recv(4096))


def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.3)
        asking.connect(("127.0.0.1", given("neighbour.udp")))
        asking.send(b"next door")
        return canary(asking.recv(4096))


attempt(
    ("tcp", lambda: tcp("127.0.0.1", given("neighbour.tcp"))),
    ("every address", lambda: tcp("0.0.0.0", given("neighbour.tcp"))),
    ("tcp6", lambda: tcp("::1", given("neighbour.tcp6"))),
    ("udp", udp),
    also=("TimeoutError",),
)
