# Makes the marks by which the layers of the root know what to hide, and where a directory's lower part lies.
# control: outside if it can
import os
import stat

from attack import AT_FDCWD, attempt, given, syscall

place = given("scratch") + ".marks"
os.makedirs(place, exist_ok=True)
NAMES = ("redirect", "opaque", "metacopy", "origin", "upper", "impure", "whiteouts")


def set_mark(name):
    os.setxattr(place, "trusted.overlay." + name, b"/../../..")
    return "set"


def whiteout():
    os.mknod(place + "/whiteout", stat.S_IFCHR | 0o644, os.makedev(0, 0))
    return "made"


def moved_with_whiteout():
    with open(place + "/file", "w"):
        pass
    syscall("renameat2", AT_FDCWD, (place + "/file").encode(), AT_FDCWD, (place + "/moved").encode(), 4)
    return "made"


attempt(
    *[(name, lambda name=name: set_mark(name)) for name in NAMES],
    ("a whiteout", whiteout),
    ("a whiteout left by a move", moved_with_whiteout),
    also=("EOPNOTSUPP", "EINVAL"),
)
