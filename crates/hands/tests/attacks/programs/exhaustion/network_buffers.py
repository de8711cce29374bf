# Takes memory as what was sent over the loopback interface and is not received.
# kind: glut
# control: outside
import socket

from attack import KEPT, glut

UNIT = 2 << 20
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(16)


def grow(number):
    sent = 0
    while sent < UNIT:
        here = socket.create_connection(listener.getsockname())
        there, _ = listener.accept()
        KEPT.append((here, there))
        here.setblocking(False)
        try:
            while sent < UNIT:
                sent += here.send(b"x" * 65536)
        except BlockingIOError:
            continue


glut(grow, UNIT)
