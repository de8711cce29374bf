# Signals the processes of the sandbox next door, by their numbers there and on the host.
# control: neighbour
import os

from attack import attempt, given, read, syscall


def is_it(process):
    """Numbers are used in every sandbox: only the process with this name is the one next door."""
    return given("neighbour.name").encode() in read("/proc/%d/environ" % process)


def signalled(process):
    os.kill(process, 0)
    return is_it(process) and "process %d can be signalled" % process


def by_descriptor(process):
    held = syscall("pidfd_open", process, 0)
    syscall("pidfd_send_signal", held, 0, None, 0)
    return is_it(process) and "process %d can be signalled" % process


attempt(
    ("its number there", lambda: signalled(given("neighbour.pid"))),
    ("a descriptor of its number there", lambda: by_descriptor(given("neighbour.pid"))),
)
