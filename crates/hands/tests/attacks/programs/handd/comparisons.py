# Learns of the daemon's kernel objects by comparing them with its own.
# control: outside if it can
import os

from attack import attempt, daemon, syscall

target = daemon()
KINDS = ("files", "memory", "descriptors", "file system", "signals", "io", "semaphores")


def compare(kind):
    return "compared, %d" % syscall("kcmp", os.getpid(), target, kind, 0, 0)


attempt(*[(name, lambda kind=kind: compare(kind)) for kind, name in enumerate(KINDS)])
