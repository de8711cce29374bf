# Takes memory in many processes, none of which is large.
# kind: glut
# control: outside
import os
import time

from attack import glut

UNIT = 12 << 20


def grow(number):
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        kept = b"x" * UNIT
        os.write(tell, b"x")
        # Nobody should wait for this one's copy of a pipe.
        os.closerange(3, 64)
        time.sleep(20)
        os._exit(len(kept) & 0)
    os.close(tell)
    if not os.read(ready, 1) or not all_live():
        raise OSError(0, "ended")


def all_live():
    """What has been ended holds nothing any more."""
    return os.waitpid(-1, os.WNOHANG)[0] == 0


glut(grow, UNIT, all_live)
