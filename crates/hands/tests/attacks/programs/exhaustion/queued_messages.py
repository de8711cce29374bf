# Takes memory as messages of System V that nobody receives, and that outlive their sender.
# kind: glut
# control: none, for outside it would stay when the test has ended
import ctypes

from attack import check, glut, libc

UNIT, SIZE = 256 << 10, 8192
message = ctypes.create_string_buffer(8 + SIZE)
ctypes.cast(message, ctypes.POINTER(ctypes.c_long))[0] = 1


def grow(number):
    sent = 0
    while sent < UNIT:
        queue = check(libc.msgget(0, 0o1600))
        while sent < UNIT and libc.msgsnd(queue, message, SIZE, 0o4000) == 0:
            sent += SIZE


glut(grow, UNIT)
