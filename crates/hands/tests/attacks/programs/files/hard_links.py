# Gives a second name, in a writable place, to a file of the host.
# control: outside
import os

from attack import AT_FDCWD, attempt, check, given, libc

path = given("upload")
there = given("scratch") + ".link"


def through_descriptor():
    held = os.open(path, os.O_RDONLY)
    check(libc.linkat(AT_FDCWD, b"/proc/self/fd/%d" % held, AT_FDCWD, there.encode(), 0x400))
    return "linked"


def unnamed_into_uploads():
    held = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_RDWR)
    return "an unnamed file, descriptor %d" % held


attempt(
    ("an input file", lambda: os.link(path, there) or "linked"),
    ("an open input file", through_descriptor),
    ("an unnamed file among them", unnamed_into_uploads),
    ("a device", lambda: os.link("/dev/null", there + ".device") or "linked"),
)
