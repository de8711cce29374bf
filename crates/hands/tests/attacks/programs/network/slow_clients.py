# Keeps the gateway busy with requests that never end, so that it has no ear for others.
# control: outside
import socket

from attack import attempt, given
from web import exchange, gateway, get

BEGINNINGS = (b"GET http://x/ HTTP/1.1\r\nX: ", b"CONNECT x:443 HTTP/1.1\r\n", b"P", b"")
KEPT = []


def answered():
    """Whatever it says to a request for nowhere: to be told no is to be heard."""
    return exchange(gateway(), get("http://127.0.0.1:%d/" % given("host.tcp")), patience=1.5)


def silenced(beginning):
    if not answered():
        return None
    for _ in range(200):
        stream = socket.create_connection(gateway(), 2)
        stream.sendall(beginning)
        KEPT.append(stream)
    return not answered() and "it answers nobody any more"


attempt(
    *[("%r" % one, lambda one=one: silenced(one)) for one in BEGINNINGS],
    also=("SILENCE", "EMFILE", "TimeoutError"),
    patience=10,
)
