# Asks for a personality whose system calls are others, or whose memory begins at nought.
# control: none, for the kernel lets anybody ask
import ctypes
import mmap
import subprocess
import sys

from attack import attempt, libc, syscall

libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]


def at_nought():
    """MMAP_PAGE_ZERO, which counts from the next program on."""
    syscall("personality", 0x0100000)
    program = "print('mapped' if any(line.startswith('00000000-') for line in open('/proc/self/maps')) else '')"
    return subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True).stdout.strip()


def mapped_at_nought():
    syscall("personality", 0x0100000)
    at = libc.mmap(None, 4096, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x10, -1, 0)
    return at in (None, 0) and "mapped"


def other_calls():
    """PER_LINUX32, under which the filter must hold as before."""
    syscall("personality", 0x0008)
    return "unshared, %d" % syscall("unshare", 0x10000000)


attempt(("memory at nought", at_nought), ("mapped at nought", mapped_at_nought), ("other calls", other_calls))
