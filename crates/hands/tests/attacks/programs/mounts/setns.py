# Joins namespaces: its own anew, those of the first process, all of a process at once.
# control: outside if it can
import os

from attack import NAMESPACES, attempt, syscall


def join(process, name):
    held = os.open("/proc/%s/ns/%s" % (process, name), os.O_RDONLY)
    return "joined, %d" % syscall("setns", held, 0)


def join_all(process):
    held = syscall("pidfd_open", process, 0)
    return "joined, %d" % syscall("setns", held, NAMESPACES["mnt"] | NAMESPACES["net"])


names = [name for name in NAMESPACES if os.path.exists("/proc/self/ns/" + name)]
attempt(
    *[("its own " + name, lambda name=name: join("self", name)) for name in names],
    *[("pid 1's " + name, lambda name=name: join(1, name)) for name in names],
    ("all of pid 1", lambda: join_all(1)),
    ("all of the shell", lambda: join_all(os.getppid())),
    also=("EINVAL", "EUSERS"),
)
