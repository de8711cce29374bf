# Takes copies of mounts as descriptors, and puts them where it likes.
# control: outside if it can
import os

from attack import AT_EMPTY_PATH, AT_FDCWD, attempt, given, syscall

place = (given("scratch") + ".tree").encode()
os.makedirs(place, exist_ok=True)
OPEN_TREE_CLONE, AT_RECURSIVE = 1, 0x8000


def copied(call, *more):
    held = syscall(call, AT_FDCWD, b"/", OPEN_TREE_CLONE | AT_RECURSIVE, *more)
    return os.listdir("/proc/self/fd/%d" % held) and "a copy of the tree"


def moved():
    held = os.open("/", os.O_PATH)
    return "moved, %d" % syscall("move_mount", held, b"", AT_FDCWD, place, 4)


def with_attributes():
    attributes = bytes(32)
    return copied("open_tree_attr", attributes, 32)


attempt(
    ("copied", lambda: copied("open_tree")),
    ("of the input files", lambda: "descriptor %d" % syscall("open_tree", AT_FDCWD, b"/mnt/session/uploads", 1)),
    ("with attributes", with_attributes),
    ("opened by its descriptor", lambda: "%d" % syscall("open_tree", os.open("/", os.O_PATH), b"", 1 | AT_EMPTY_PATH)),
    ("moved", moved),
)
