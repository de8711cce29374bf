"""Speaks HTTP by hand, so that it can be spoken wrongly."""

import os
import socket
from urllib.parse import urlsplit

from attack import CONTROL, canary, given

PORT = given("host.tcp")


def gateway():
    """Where a sandbox finds the gateway. Outside, a careless one, which does whatever it is asked."""
    told = None if CONTROL else os.environ.get("http_proxy")
    if told:
        parts = urlsplit(told if "//" in told else "//" + told)
        return parts.hostname, parts.port or 3128
    return "127.0.0.1", given("gateway")


def exchange(address, *messages, patience=1.0):
    """Sends each message once the one before is answered; all that comes back."""
    heard = b""
    with socket.create_connection(address, 2) as stream:
        stream.settimeout(patience)
        for message in messages:
            stream.sendall(message)
            heard += answer(stream)
    return heard


def answer(stream):
    heard = b""
    try:
        while len(heard) < 1 << 16:
            piece = stream.recv(4096)
            if not piece:
                break
            heard += piece
            # Of a tunnel that is open now there is no more until something is asked.
            if heard.startswith(b"HTTP/1.") and heard.endswith(b"\r\n\r\n") and b" 200 " in heard[:20]:
                break
    except (TimeoutError, socket.timeout, ConnectionResetError):
        pass
    return heard


def get(url, *headers):
    """A request of a proxy, for the whole of an address."""
    lines = ["GET %s HTTP/1.1" % url, *headers, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def asked(url, *headers):
    return canary(exchange(gateway(), get(url, *headers)))


def by_name(host, port=None):
    """Asks for the canary at this spelling of its address."""
    at = "%s:%s" % (host, PORT if port is None else port)
    return asked("http://%s/canary" % at, "Host: " + at)


def tunnelled(host, port=None, inside=b"GET /canary HTTP/1.0\r\n\r\n"):
    at = "%s:%s" % (host, PORT if port is None else port)
    opening = ("CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (at, at)).encode("utf-8", "surrogateescape")
    return canary(exchange(gateway(), opening, inside))


def both(spellings):
    """Every spelling, asked for and tunnelled to."""
    steps = [(spelling, lambda one=spelling: by_name(one)) for spelling in spellings]
    return steps + [("a tunnel to " + one, lambda one=one: tunnelled(one)) for one in spellings]
