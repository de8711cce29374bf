# Connects to the host's loopback interface, where its servers listen that trust whoever is there.
# control: outside
import socket

from attack import attempt, canary, given


def tcp(host, port):
    with socket.create_connection((host, port), 2) as stream:
        stream.sendall(b"from inside\r\n")
        return canary(stream.recv(4096) + stream.recv(4096))


def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.3)
        asking.connect(("127.0.0.1", given("host.udp")))
        asking.send(b"from inside")
        return canary(asking.recv(4096))


attempt(
    ("127.0.0.1", lambda: tcp("127.0.0.1", given("host.tcp"))),
    ("localhost", lambda: tcp("localhost", given("host.tcp"))),
    ("127.1.2.3", lambda: tcp("127.1.2.3", given("host.tcp"))),
    ("0.0.0.0", lambda: tcp("0.0.0.0", given("host.tcp"))),
    ("::1", lambda: tcp("::1", given("host.tcp6"))),
    ("::ffff:127.0.0.1", lambda: tcp("::ffff:127.0.0.1", given("host.tcp"))),
    ("udp", udp),
    also=("TimeoutError",),
)
