# Makes interfaces, addresses and routes, by which there would be a way out.
# control: none, for the host's network should stay as it is
import fcntl
import os
import socket
import struct

from attack import attempt

NEW_LINK, NEW_ADDRESS, NEW_ROUTE, NEW_RULE, NEW_NEIGHBOUR = 16, 20, 24, 32, 28


def asked(kind, body):
    """The kernel's answer to one request, acknowledged."""
    message = struct.pack("IHHII", 16 + len(body), kind, 0x605, 1, 0) + body
    with socket.socket(16, socket.SOCK_RAW, 0) as channel:
        channel.bind((0, 0))
        channel.send(message)
        answer = channel.recv(4096)
    code = struct.unpack("i", answer[16:20])[0]
    if code < 0:
        raise OSError(-code, os.strerror(-code))
    return "done"


def attribute(kind, value):
    return struct.pack("HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def requested(request, argument):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return "done, %r" % fcntl.ioctl(any_socket, request, argument)


dummy = struct.pack("BBHiII", 0, 0, 0, 0, 0, 0) + attribute(3, b"attack0\0") + attribute(18, attribute(1, b"dummy\0"))
address = struct.pack("BBBBI", 2, 24, 0, 0, 1) + attribute(2, bytes([10, 9, 8, 7]))
route = struct.pack("BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, 1, 0) + attribute(4, struct.pack("i", 1))
neighbour = struct.pack("BBHiHBB", 2, 0, 0, 1, 0x80, 0, 0) + attribute(1, bytes(4))
name = b"lo".ljust(16, b"\0")
internet = struct.pack("HH", 2, 0) + bytes([10, 9, 8, 7]) + bytes(16)
attempt(
    ("an interface", lambda: asked(NEW_LINK, dummy)),
    ("an address", lambda: asked(NEW_ADDRESS, address)),
    ("a route", lambda: asked(NEW_ROUTE, route)),
    ("a rule", lambda: asked(NEW_RULE, struct.pack("BBBBBBBBI", 2, 0, 0, 0, 0, 0, 0, 1, 0))),
    ("a neighbour", lambda: asked(NEW_NEIGHBOUR, neighbour)),
    ("an address, the old way", lambda: requested(0x8916, name + internet)),
    ("the interface taken down", lambda: requested(0x8914, name + bytes(24))),
    ("a bridge", lambda: requested(0x89A0, b"attack0".ljust(40, b"\0"))),
    ("a route, the old way", lambda: requested(0x890B, bytes(120))),
)
