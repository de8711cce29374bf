# Makes processes in namespaces of their own.
# control: outside if it can
import os
import signal

from attack import CLONE_NEWUSER, NAMESPACES, attempt, syscall


def clone(flags):
    child = syscall("clone", flags | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return "process %d" % child


# What is the namespace of time to others is part of the signal here.
kinds = {name: flag for name, flag in NAMESPACES.items() if name != "time"}
attempt(
    *[(name, lambda flag=flag: clone(flag)) for name, flag in kinds.items()],
    *[("user and " + name, lambda flag=flag: clone(flag | CLONE_NEWUSER)) for name, flag in kinds.items()],
    ("spelt otherwise", lambda: clone(CLONE_NEWUSER | 1 << 40)),
    also=("EINVAL",),
)
