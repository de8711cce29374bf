# Makes file systems through the newer calls.
# control: outside if it can
import os

from attack import AT_FDCWD, attempt, syscall

KINDS = ("tmpfs", "proc", "overlay", "sysfs", "cgroup2", "ext4", "nfs", "fuse")


def made(kind):
    held = syscall("fsopen", kind.encode(), 1)
    syscall("fsconfig", held, 6, None, None, 0)
    mount = syscall("fsmount", held, 1, 0)
    return "one with %s" % os.listdir("/proc/self/fd/%d" % mount)


def opened(kind):
    return "descriptor %d" % syscall("fsopen", kind.encode(), 0)


attempt(
    *[(kind, lambda kind=kind: made(kind)) for kind in KINDS],
    *[(kind + ", begun", lambda kind=kind: opened(kind)) for kind in KINDS],
    ("one that is there", lambda: "descriptor %d" % syscall("fspick", AT_FDCWD, b"/", 0)),
)
