# Adds filters of its own, which allow, log, trace or answer for what the first one refuses.
# control: outside if it can
import ctypes
import os
import struct

from attack import NUMBERS, X86, attempt, check, libc, syscall

ALLOW, LOG, TRACE, NOTIFY = 0x7FFF0000, 0x7FFC0000, 0x7FF00000, 0x7FC00000
NEW_LISTENER, CONTINUE = 8, 1
RECEIVE, SEND = 0xC0502100, 0xC0182101
NEW_USERS = 0x10000000


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


def install(action, flags=0):
    """For the one call: load its number, compare, and do this with it or allow it."""
    number = NUMBERS["unshare"][0 if X86 else 1]
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, action), (6, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps), 32)
    check(libc.prctl(38, 1, 0, 0, 0))
    return syscall("seccomp", 1, flags, ctypes.byref(Program(4, ctypes.addressof(code))))


def unshared(action):
    install(action)
    return "unshared, %d" % syscall("unshare", NEW_USERS)


def answered():
    """A supervisor that lets the call go on."""
    listener = install(NOTIFY, NEW_LISTENER)
    if os.fork() == 0:
        asked = ctypes.create_string_buffer(80)
        check(libc.ioctl(listener, ctypes.c_ulong(RECEIVE), asked))
        reply = ctypes.create_string_buffer(asked.raw[:8] + struct.pack("qiI", 0, 0, CONTINUE), 24)
        check(libc.ioctl(listener, ctypes.c_ulong(SEND), reply))
        os._exit(0)
    return "unshared, %d" % syscall("unshare", NEW_USERS)


attempt(
    ("allow", lambda: unshared(ALLOW)),
    ("log", lambda: unshared(LOG)),
    ("trace", lambda: unshared(TRACE)),
    ("answer", answered),
    ("none at all", lambda: libc.prctl(22, 0, 0, 0, 0) == 0 and "the filter is off"),
)
