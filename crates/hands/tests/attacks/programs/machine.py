"""Machine code, for the ways into the kernel that no library takes. For x86-64 only."""

import ctypes
import mmap

from attack import X86, held, libc

libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]

MAP_32BIT = 0x40

# Calls by their 32-bit numbers.
GETPID, MOUNT, UNSHARE, KEYCTL, SOCKETCALL = 20, 21, 310, 288, 102


def only_on_x86():
    if not X86:
        held("this machine has no such way in")


def low_memory(size):
    """Memory that has an address of 32 bits, to write, read and execute."""
    at = libc.mmap(None, size, 7, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_32BIT, -1, 0)
    if at is None or at >= 1 << 32:
        raise MemoryError("there is no low memory")
    return at


def function(code, *arguments):
    """Calls the code with up to three whole numbers, as C would."""
    at = low_memory(4096)
    ctypes.memmove(at, code, len(code))
    prototype = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_long] * len(arguments))
    return prototype(at)(*arguments)
