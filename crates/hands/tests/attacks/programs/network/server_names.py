# Says in the greeting of TLS to want another server than the one that it connects to.
# control: outside
import struct

from attack import attempt, canary, given
from web import PORT, exchange, gateway

GOOD, BAD = given("allowed"), "127.0.0.1:%d" % PORT


def greeting(*names, version=0x0303, fragments=1):
    """As small as a greeting can be, with any number of names in it."""
    listed = b"".join(struct.pack("!BH", 0, len(name)) + name for name in names)
    extension = struct.pack("!HHH", 0, len(listed) + 2, len(listed)) + listed if names else b""
    body = struct.pack("!H", version) + bytes(32) + b"\0" + struct.pack("!HH", 2, 0x1301) + b"\x01\0"
    body += struct.pack("!H", len(extension)) + extension
    message = b"\x01" + struct.pack("!I", len(body))[1:] + body
    size = -(-len(message) // fragments)
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", len(piece)) + piece for piece in pieces)


def tunnel(target, hello):
    opening = ("CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, target)).encode()
    return canary(exchange(gateway(), opening, hello))


def direct(port, hello):
    """To a port that a gateway may have turned to itself, to be led by the name."""
    return canary(exchange(("127.0.0.1", port), hello))


good, bad = GOOD.encode(), b"localhost"
attempt(
    ("the canary's, in a tunnel to the allowed", lambda: tunnel(GOOD + ":443", greeting(bad))),
    ("the allowed, in a tunnel to the canary", lambda: tunnel(BAD, greeting(good))),
    ("none", lambda: tunnel(BAD, greeting())),
    ("both", lambda: tunnel(BAD, greeting(good, bad))),
    ("in pieces", lambda: tunnel(BAD, greeting(good, fragments=4))),
    ("with a nought", lambda: tunnel(BAD, greeting(good + b"\0" + bad))),
    ("in capitals", lambda: tunnel(BAD, greeting(good.upper()))),
    ("of an old version", lambda: tunnel(BAD, greeting(good, version=0x0300))),
    ("an address", lambda: tunnel(GOOD + ":443", greeting(b"127.0.0.1"))),
    ("direct", lambda: direct(443, greeting(bad))),
    ("direct, an address", lambda: direct(443, greeting(b"127.0.0.1"))),
    also=("SILENCE", "TimeoutError", "ECONNRESET", "EPIPE"),
)
