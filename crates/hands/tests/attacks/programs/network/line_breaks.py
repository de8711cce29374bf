# Breaks lines within an address, so that what follows is a header or a request of its own.
# control: none, for a careless gateway may well refuse these
from attack import attempt, given
from web import PORT, asked, tunnelled

GOOD = given("allowed")
BREAKS = ("\r\n", "\n", "\r", "%0d%0a", "\u560a", "\x0b", "\x85", "\u2028")
INJECTED = "Host: 127.0.0.1:%d" % PORT
WAYS = {
    "a path": lambda one: asked("http://%s/%s%s" % (GOOD, one, INJECTED), "Host: " + GOOD),
    "a name": lambda one: asked("http://%s%s127.0.0.1/" % (GOOD, one)),
    "a header": lambda one: asked("http://%s/" % GOOD, "X: y%s%s" % (one, INJECTED)),
    "a tunnel": lambda one: tunnelled("%s:443%s127.0.0.1" % (GOOD, one)),
}
attempt(
    *[("%r in %s" % (one, name), lambda one=one, way=way: way(one)) for name, way in WAYS.items() for one in BREAKS],
    also=("SILENCE", "TimeoutError", "ECONNRESET"),
)
