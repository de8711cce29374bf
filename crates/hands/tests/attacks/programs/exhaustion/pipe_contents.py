# Takes memory as what stands in pipes.
# kind: glut
# control: outside
import fcntl
import os

from attack import KEPT, glut

UNIT = 1 << 20


def grow(number):
    filled = 0
    while filled < UNIT:
        ends = os.pipe()
        KEPT.append(ends)
        try:
            fcntl.fcntl(ends[1], 1031, 1 << 20)
        except OSError:
            pass
        os.set_blocking(ends[1], False)
        try:
            while filled < UNIT:
                filled += os.write(ends[1], b"x" * 65536)
        except BlockingIOError:
            if len(KEPT) > 9000:
                raise


glut(grow, UNIT)
