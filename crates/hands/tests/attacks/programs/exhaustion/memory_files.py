# Takes memory as files that have no name and are mapped nowhere.
# kind: glut
# control: outside
import os

from attack import glut

UNIT = 4 << 20


def grow(number):
    held = os.memfd_create("attack")
    for _ in range(4):
        if os.write(held, b"x" * (1 << 20)) != 1 << 20:
            raise OSError(0, "no more")


glut(grow, UNIT)
