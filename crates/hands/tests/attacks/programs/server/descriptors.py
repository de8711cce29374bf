# Takes descriptors out of a process of the host.
# control: outside if it can
import os

from attack import attempt, canary, given, read, syscall

process = given("host.pid")


def stolen():
    held = syscall("pidfd_open", process, 0)
    for number in range(3, 32):
        try:
            taken = syscall("pidfd_getfd", held, number, 0)
        except OSError as error:
            if error.errno != 9:
                raise
            continue
        try:
            os.lseek(taken, 0, os.SEEK_SET)
            found = canary(os.read(taken, 4096))
        except OSError:
            continue
        if found:
            return found
    return None


def reopened():
    for name in os.listdir("/proc/%d/fd" % process):
        path = "/proc/%d/fd/%s" % (process, name)
        if os.path.isfile(path) and canary(read(path)):
            return canary(read(path))
    return None


attempt(("stolen", stolen), ("reopened", reopened))
