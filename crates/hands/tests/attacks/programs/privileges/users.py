# Becomes other users and groups.
# control: outside if it can
import os

from attack import attempt, libc

OTHERS = (1, 33, 1000, 65534)


def groups():
    os.setgroups([4, 6, 42])
    return "groups %s" % os.getgroups()


def user(number):
    os.setresuid(number, number, number)
    return "user %d" % os.getuid()


def group(number):
    os.setresgid(number, number, number)
    return "group %d" % os.getgid()


def shown():
    with open("/proc/self/status") as status:
        return [line for line in status if line.startswith("Uid")]


def file_user(number):
    """Its result says nothing: whether it worked is seen elsewhere."""
    before = shown()
    libc.setfsuid(number)
    return shown() != before and "file user %d" % number


attempt(
    ("groups", groups),
    *[("user %d" % number, lambda number=number: user(number)) for number in OTHERS],
    *[("group %d" % number, lambda number=number: group(number)) for number in OTHERS],
    *[("for files, %d" % number, lambda number=number: file_user(number)) for number in OTHERS],
    also=("EINVAL",),
)
