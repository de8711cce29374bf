# Connects to a Unix socket of the host by its path, however it may be spelt.
# control: outside
import os
import socket

from attack import attempt, canary, given

path = given("host.unix")


def connect(path):
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(path)
        stream.sendall(b"from inside")
        return canary(stream.recv(4096) + stream.recv(4096))


def from_directory():
    os.chdir("/")
    return connect("../" * 8 + path[1:])


attempt(
    ("its path", lambda: connect(path)),
    ("above the root", from_directory),
    ("the root of pid 1", lambda: connect("/proc/1/root" + path)),
)
