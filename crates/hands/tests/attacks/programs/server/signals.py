# Signals a process of the host, by its number, its group and a descriptor.
# control: outside
import os

from attack import attempt, given, read, syscall

process = given("host.pid")


def is_it():
    return given("host.name").encode() in read("/proc/%d/environ" % process) and "it can be signalled"


def by_descriptor():
    held = syscall("pidfd_open", process, 0)
    syscall("pidfd_send_signal", held, 0, None, 0)
    return is_it()


def limits():
    """To ask is to be allowed to."""
    syscall("prlimit64", process, 7, None, None)
    return is_it()


attempt(
    ("its number", lambda: os.kill(process, 0) or is_it()),
    ("a descriptor", by_descriptor),
    ("its limits", limits),
    ("its priority", lambda: os.setpriority(os.PRIO_PROCESS, process, 0) or is_it()),
)
