# Types into a terminal by a request whose upper half, which the kernel ignores, is not empty.
# control: outside if it can
import ctypes
import fcntl
import os

from attack import attempt, syscall, X86

letter = ctypes.create_string_buffer(b"x")
IOCTL = 16 if X86 else 29


def typed(request):
    _, line = os.openpty()
    fcntl.ioctl(line, 0x540E, 0)
    return "typed, %d" % syscall(IOCTL, line, request, letter)


attempt(
    ("the upper half", lambda: typed(0x5412 | 0xFFFFFFFF << 32)),
    ("one bit of it", lambda: typed(0x5412 | 1 << 32)),
    ("a selection", lambda: typed(0x541C | 1 << 40)),
    also=("EIO",),
)
