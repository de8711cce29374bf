# Takes memory as shared segments that no process has attached any more.
# kind: glut
# control: none, for outside it would stay when the test has ended
import ctypes

from attack import check, glut, libc

libc.shmat.restype = ctypes.c_void_p
libc.shmdt.argtypes = [ctypes.c_void_p]
UNIT = 4 << 20


segments = []


def grow(number):
    segments.append(check(libc.shmget(0, ctypes.c_size_t(UNIT), 0o1600)))
    at = libc.shmat(segments[-1], None, 0)
    ctypes.memset(at, 1, UNIT)
    libc.shmdt(at)


def holds():
    """Whether the first is there still: the kernel may take them back with their last process."""
    return libc.shmat(segments[0], None, 0) != ctypes.c_void_p(-1).value


glut(grow, UNIT, holds)
