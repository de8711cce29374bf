# Uses numbers that a filter may read otherwise than the kernel does: negative ones, and ones with an upper half.
# control: none, for there is nothing behind most of them
from attack import NUMBERS, X86, attempt, syscall

at = 0 if X86 else 1


def call(number):
    return "answered %d" % syscall(number, 0x10000000, 0, 0, 0, 0)


unshare = NUMBERS["unshare"][at]
attempt(
    ("an upper half", lambda: call(unshare | 1 << 32)),
    ("a full upper half", lambda: call(unshare | 0xFFFFFFFF << 32)),
    ("the sign", lambda: call(unshare | 1 << 31)),
    ("minus one", lambda: call(-1)),
    ("beyond the table", lambda: call(100_000)),
    ("just below the second set", lambda: call(0x3FFFFFFF)),
    also=("EINVAL",),
)
