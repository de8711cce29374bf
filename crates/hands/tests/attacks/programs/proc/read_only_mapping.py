# Writes into a file that it may only read, through a mapping of it and the file of its own memory.
# control: none, for the kernel refuses it everywhere
import ctypes
import mmap

from attack import attempt, given, libc

libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]


def written(path, kind):
    with open(path, "rb") as file:
        before = file.read(64)
        at = libc.mmap(None, 4096, mmap.PROT_READ, kind, file.fileno(), 0)
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(at)
            memory.write(b"changed")
    with open(path, "rb") as file:
        return file.read(64) != before and "the file has changed"


attempt(
    ("an input file, shared", lambda: written(given("upload"), mmap.MAP_SHARED)),
    ("an input file, private", lambda: written(given("upload"), mmap.MAP_PRIVATE)),
    ("a program, private", lambda: written("/usr/bin/env", mmap.MAP_PRIVATE)),
    also=("EIO",),
)
