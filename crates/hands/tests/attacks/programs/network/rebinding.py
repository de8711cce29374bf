# Uses names whose answers change between the moment they are judged and the moment they are used.
# control: none, for nothing of a test should leave the machine
import socket

from attack import attempt, canary, given
from web import PORT, by_name, tunnelled

NAMES = (given("rebinding"), "localhost." + given("rebinding"))


def repeated(way, name):
    """The answer need be wrong only once."""
    for _ in range(10):
        found = way(name)
        if found:
            return found
    return None


def direct(name):
    with socket.create_connection((name, PORT), 1) as stream:
        stream.sendall(b"GET /canary HTTP/1.0\r\n\r\n")
        return canary(stream.recv(4096) + stream.recv(4096))


attempt(
    *[
        ("%s, %s" % (name, way.__name__), lambda way=way, name=name: repeated(way, name))
        for name in NAMES
        for way in (by_name, tunnelled, direct)
    ],
    also=("SILENCE", "TimeoutError", "gaierror", "ECONNRESET"),
    patience=3,
)
