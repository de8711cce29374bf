# Adds, finds and reads keys in the rings that the kernel keeps for users and sessions.
# control: outside if it can
import ctypes

from attack import attempt, canary, given, syscall

SESSION, USER = -3, -4
JOIN, DESCRIBE, SEARCH, READ, PERSISTENT = 1, 6, 10, 11, 22
buffer = ctypes.create_string_buffer(1024)


def added(ring):
    return "key %d" % syscall("add_key", b"user", b"attack", b"x", 1, ring)


def found():
    number = syscall("keyctl", SEARCH, USER, b"user", given("host.name").encode(), 0)
    syscall("keyctl", READ, number, buffer, 1024, 0)
    return canary(buffer.raw)


def read_by_number():
    if given("host.key") is None:
        return None
    syscall("keyctl", READ, given("host.key"), buffer, 1024, 0)
    return canary(buffer.raw)


attempt(
    ("the host's, by its number", read_by_number),
    ("the host's, by its name", found),
    ("the host's, asked for", lambda: "key %d" % syscall("request_key", b"user", given("host.name").encode(), None, 0)),
    ("added for the session", lambda: added(SESSION)),
    ("added for the user", lambda: added(USER)),
    ("a session", lambda: "session %d" % syscall("keyctl", JOIN, b"attack", 0, 0, 0)),
    ("its rings", lambda: "described, %d" % syscall("keyctl", DESCRIBE, SESSION, buffer, 1024, 0)),
    ("a ring for ever", lambda: "ring %d" % syscall("keyctl", PERSISTENT, 0, SESSION, 0, 0)),
    also=("ENOKEY",),
)
