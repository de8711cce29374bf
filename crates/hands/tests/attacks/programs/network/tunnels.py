# Opens a tunnel to one place and speaks to another in it; opens tunnels in tunnels.
# control: outside
from attack import attempt, canary, given
from web import PORT, exchange, gateway, get, tunnelled

GOOD = given("allowed")
BAD = "127.0.0.1:%d" % PORT


def connect(target, *headers):
    return "\r\n".join(["CONNECT %s HTTP/1.1" % target, *headers, "", ""]).encode()


def then(*messages):
    return canary(exchange(gateway(), *messages))


INSIDE = b"GET /canary HTTP/1.0\r\n\r\n"
attempt(
    ("plainly", lambda: tunnelled("127.0.0.1")),
    ("another host in it", lambda: then(connect(GOOD + ":80"), get("http://%s/canary" % BAD, "Host: " + BAD))),
    ("another host's header", lambda: then(connect(GOOD + ":443", "Host: " + BAD), INSIDE)),
    ("its own header", lambda: then(connect(BAD, "Host: %s:443" % GOOD), INSIDE)),
    ("a tunnel in it", lambda: then(connect(GOOD + ":443"), connect(BAD), INSIDE)),
    ("the gateway itself", lambda: then(connect("127.0.0.1:%d" % gateway()[1]), connect(BAD), INSIDE)),
    ("a scheme", lambda: then(connect("http://" + BAD), INSIDE)),
    ("a user", lambda: then(connect("%s:443@%s" % (GOOD, BAD)), INSIDE)),
    ("no port", lambda: then(connect("127.0.0.1"), INSIDE)),
    ("two ports", lambda: then(connect("127.0.0.1:443:%d" % PORT), INSIDE)),
    ("a port beyond the last", lambda: then(connect("127.0.0.1:%d" % (PORT + 65536)), INSIDE)),
    ("a port with noughts", lambda: then(connect("127.0.0.1:000%d" % PORT), INSIDE)),
    ("without waiting", lambda: then(connect(BAD) + INSIDE)),
    ("an older version", lambda: then(b"CONNECT %s HTTP/1.0\r\n\r\n" % BAD.encode(), INSIDE)),
    ("no version", lambda: then(b"CONNECT %s\r\n\r\n" % BAD.encode(), INSIDE)),
    also=("SILENCE", "TimeoutError", "ECONNRESET", "EPIPE"),
)
