# Attaches the shared memory of the sandbox next door, by its number and by trying all numbers.
# control: neighbour
import ctypes

from attack import attempt, canary, given, libc

libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]


def attached(number):
    at = libc.shmat(number, None, 0o10000)
    if at in (None, ctypes.c_void_p(-1).value):
        return None
    return canary(ctypes.string_at(at, 64))


def all_numbers():
    for slot in range(512):
        described = ctypes.create_string_buffer(256)
        number = libc.shmctl(slot, 13, described)
        if number >= 0 and attached(number):
            return attached(number)
    return None


attempt(("its number", lambda: attached(given("neighbour.segment"))), ("all numbers", all_numbers))
