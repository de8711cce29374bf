# Takes memory as what was sent over local sockets and is not received.
# kind: glut
# control: outside
import socket

from attack import KEPT, glut

UNIT = 128 << 10


def grow(number):
    pair = socket.socketpair()
    KEPT.append(pair)
    pair[0].setblocking(False)
    sent = 0
    try:
        while sent < UNIT:
            sent += pair[0].send(b"x" * 16384)
    except BlockingIOError:
        if sent < UNIT // 2:
            raise


glut(grow, UNIT)
