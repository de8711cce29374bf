# Changes an input file, which is a file of the host mounted read-only.
# control: outside
import mmap
import os

from attack import attempt, given, libc, check

path = given("upload")


def reopened(flags):
    held = os.open(path, os.O_RDONLY)
    return os.write(os.open("/proc/self/fd/%d" % held, flags), b"changed")


def mapped():
    held = os.open(path, os.O_RDONLY)
    mmap.mmap(held, 1, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)[0:1] = b"c"
    return "written through a mapping"


def emptied():
    check(libc.truncate(path.encode(), 0))
    return "emptied"


def replaced():
    with open("/tmp/other-input", "w") as file:
        file.write("changed")
    os.rename("/tmp/other-input", path)
    return "replaced"


def beside():
    with open(path + ".more", "w") as file:
        file.write("added")
    return "added a file"


attempt(
    ("opened to write", lambda: os.write(os.open(path, os.O_WRONLY), b"changed")),
    ("reopened to write", lambda: reopened(os.O_RDWR)),
    ("reopened to be emptied", lambda: reopened(os.O_WRONLY | os.O_TRUNC)),
    ("mapped", mapped),
    ("truncated", emptied),
    ("replaced", replaced),
    ("beside it", beside),
    ("its mode", lambda: os.chmod(path, 0o666) or "opened to all"),
    ("its times", lambda: os.utime(path) or "touched"),
    ("its attributes", lambda: os.setxattr(path, "user.attack", b"x") or "marked"),
    ("its name", lambda: os.rename(path, path + ".moved") or "renamed"),
    ("itself", lambda: os.unlink(path) or "removed"),
)
