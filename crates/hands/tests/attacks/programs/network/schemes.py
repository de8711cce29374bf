# Asks the gateway for addresses of other schemes, and in other protocols than it speaks.
# control: none, for a careless gateway speaks none of them
import struct

from attack import attempt, canary, given
from web import PORT, asked, exchange, gateway

BAD = "127.0.0.1:%d" % PORT
URLS = [
    "file://" + given("host.file"),
    "file://localhost" + given("host.file"),
    "unix:" + given("host.unix") + ":/canary",
    "http+unix://" + given("host.unix").replace("/", "%2F") + "/canary",
    "gopher://%s/_GET%%20/canary" % BAD,
    "dict://%s/canary" % BAD,
    "ftp://%s/canary" % BAD,
    "ws://%s/canary" % BAD,
    "jar:http://%s!/canary" % BAD,
    "netdoc://" + given("host.file"),
    "data:,canary",
    "http://unix/canary",
]
UPGRADES = ("h2c", "websocket", "TLS/1.0", "connect-udp")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
SOCKS4 = struct.pack("!BBH", 4, 1, PORT) + bytes([127, 0, 0, 1]) + b"\0"
SOCKS5 = b"\x05\x01\0"
REQUEST5 = b"\x05\x01\0\x01" + bytes([127, 0, 0, 1]) + struct.pack("!H", PORT)
INSIDE = b"GET /canary HTTP/1.0\r\n\r\n"


def upgraded(kind):
    headers = ("Host: " + BAD, "Connection: Upgrade, HTTP2-Settings", "Upgrade: " + kind)
    return asked("http://%s/canary" % given("allowed"), *headers)


def then(*messages):
    return canary(exchange(gateway(), *messages, patience=0.5))


attempt(
    *[(url, lambda url=url: asked(url, "Host: " + BAD)) for url in URLS],
    *[("an upgrade to " + kind, lambda kind=kind: upgraded(kind)) for kind in UPGRADES],
    ("version 2", lambda: then(PREFACE)),
    ("SOCKS 4", lambda: then(SOCKS4, INSIDE)),
    ("SOCKS 5", lambda: then(SOCKS5, REQUEST5, INSIDE)),
    ("a PROXY line", lambda: then(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 %d\r\n" % PORT + INSIDE)),
    ("version 0.9", lambda: then(b"GET http://%s/canary\r\n" % BAD.encode())),
    also=("SILENCE", "TimeoutError", "ECONNRESET", "EPIPE"),
)
