# Traces the daemon, and each of its threads.
# control: outside
import os

from attack import attempt, daemon, syscall

target = daemon()
PTRACE_ATTACH, PTRACE_DETACH, PTRACE_SEIZE = 16, 17, 0x4206


def attach(thread):
    syscall("ptrace", PTRACE_ATTACH, thread, 0, 0)
    os.waitpid(thread, 0x40000000)
    syscall("ptrace", PTRACE_DETACH, thread, 0, 0)
    return "attached to %d" % thread


def seize(thread):
    syscall("ptrace", PTRACE_SEIZE, thread, 0, 0)
    return "seized %d" % thread


threads = [int(name) for name in os.listdir("/proc/%d/task" % target)]
attempt(
    *[("attached to %d" % thread, lambda thread=thread: attach(thread)) for thread in threads],
    *[("seized %d" % thread, lambda thread=thread: seize(thread)) for thread in threads],
)
