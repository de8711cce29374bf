# Connects to an abstract socket of the sandbox next door, and looks for its name in the list of sockets.
# control: neighbour
import socket

from attack import attempt, canary, given, read


def connect(kind):
    with socket.socket(socket.AF_UNIX, kind) as stream:
        stream.connect("\0" + given("neighbour.abstract"))
        stream.sendall(b"next door")
        return canary(stream.recv(4096) + stream.recv(4096))


def listed():
    return given("neighbour.abstract").encode() in read("/proc/net/unix", 1 << 20) and "listed"


attempt(("a stream", lambda: connect(socket.SOCK_STREAM)), ("the list", listed))
