# Connects to the host's loopback interface without asking a gateway, in every spelling that a resolver takes.
# control: outside
import socket

from attack import attempt, canary
from web import PORT

SPELLINGS = """127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001 0 0.0.0.0 127.255.255.254
    localhost localhost. LOCALHOST localhost.localdomain ip6-localhost ::1 ::ffff:127.0.0.1 ::ffff:7f00:1
    0:0:0:0:0:0:0:1 :: ::ffff:0.0.0.0 ::1%lo""".split()


def connect(host):
    with socket.create_connection((host, PORT), 2) as stream:
        stream.sendall(b"GET /canary HTTP/1.0\r\n\r\n")
        return canary(stream.recv(4096) + stream.recv(4096))


def names():
    return connect(socket.gethostname())


attempt(
    *[(spelling, lambda one=spelling: connect(one)) for spelling in SPELLINGS],
    ("its own name", names),
    also=("gaierror", "TimeoutError", "EADDRNOTAVAIL", "EINVAL", "ECONNRESET"),
)
