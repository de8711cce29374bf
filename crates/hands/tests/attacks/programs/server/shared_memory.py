# Attaches shared memory of the host, and opens its memory files.
# control: outside
import ctypes

from attack import attempt, canary, given, libc, read

libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]


def attached(number):
    at = libc.shmat(number, None, 0o10000)
    return None if at in (None, ctypes.c_void_p(-1).value) else canary(ctypes.string_at(at, 64))


attempt(
    ("a memory file", lambda: canary(read(given("host.shared_file")))),
    ("a segment", lambda: given("host.segment") is not None and attached(given("host.segment"))),
)
