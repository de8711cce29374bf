# Connects to an abstract socket of the host, and looks for its name in the list of sockets.
# control: outside
import socket

from attack import attempt, canary, given, read


def connect():
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect("\0" + given("host.abstract"))
        stream.sendall(b"from inside")
        return canary(stream.recv(4096) + stream.recv(4096))


def listed(path):
    return given("host.abstract").encode() in read(path, 1 << 20) and "listed"


attempt(
    ("its name", connect),
    ("the list", lambda: listed("/proc/net/unix")),
    ("pid 1's list", lambda: listed("/proc/1/net/unix")),
)
