# Hides a second request in a first one that is allowed, where two readers disagree on where that ends.
# control: outside
from attack import attempt, canary, given
from web import PORT, exchange, gateway

GOOD = given("allowed")
HIDDEN = "GET http://127.0.0.1:%d/canary HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (PORT, PORT)
CHUNKED = "0\r\n\r\n" + HIDDEN
TRANSFER = [
    "Transfer-Encoding: chunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: chunked, identity",
    "X: y\r\n Transfer-Encoding: chunked",
    "Transfer-Encoding:\x0bchunked",
    "transfer-encoding: CHUNKED",
    'Transfer-Encoding: "chunked"',
    "Transfer-Encoding: chunk\0ed",
    "Transfer_Encoding: chunked",
]


def sent(head, body):
    first = "POST http://%s/ HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n" % (GOOD, GOOD, head)
    return canary(exchange(gateway(), (first + body).encode("latin-1")))


def plainly():
    """What a gateway that looks only at the first of two requests lets through; and what the control gets."""
    return canary(exchange(gateway(), HIDDEN.encode()))


attempt(
    *[(way, lambda way=way: sent("Content-Length: %d\r\n%s" % (len(CHUNKED), way), CHUNKED)) for way in TRANSFER],
    *[("first, " + way, lambda way=way: sent("%s\r\nContent-Length: 5" % way, CHUNKED)) for way in TRANSFER],
    ("two lengths", lambda: sent("Content-Length: 0\r\nContent-Length: %d" % len(HIDDEN), HIDDEN)),
    ("a length with a sign", lambda: sent("Content-Length: +0", HIDDEN)),
    ("a length in letters", lambda: sent("Content-Length: 0x0", HIDDEN)),
    ("a list of lengths", lambda: sent("Content-Length: 0, %d" % len(HIDDEN), HIDDEN)),
    ("a negative length", lambda: sent("Content-Length: -1", HIDDEN)),
    ("a huge chunk", lambda: sent("Transfer-Encoding: chunked", "ffffffffffffffff0\r\n" + HIDDEN)),
    ("a chunk with a comment", lambda: sent("Transfer-Encoding: chunked", "0;\n" + HIDDEN)),
    ("line feeds alone", lambda: sent("X: y\n\n" + HIDDEN.replace("\r\n", "\n"), "")),
    ("carriage returns alone", lambda: sent("X: y\r\r" + HIDDEN.replace("\r\n", "\r"), "")),
    ("one after the other", lambda: sent("Content-Length: 0", HIDDEN)),
    ("in a header", lambda: sent("X: y\r\n\r\n" + HIDDEN, "")),
    ("plainly", plainly),
    also=("SILENCE", "TimeoutError", "ECONNRESET", "EPIPE"),
)
