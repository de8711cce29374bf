# Looks for the server's environment: in its own, in the shell's, in that of the first process.
# control: outside
import os

from attack import attempt, canary, read


def of_processes():
    for process in os.listdir("/proc"):
        try:
            found = process.isdigit() and canary(read("/proc/%s/environ" % process, 1 << 20))
        except OSError:
            continue
        if found:
            return found
    return None


def foreign():
    """Names that a server has and a sandbox has no use for."""
    beginnings = ("STEAD_", "CARGO_", "ANTHROPIC_", "OPENAI_", "SSH_", "AWS_")
    return [name for name in os.environ if name.startswith(beginnings)]


attempt(
    ("its own", lambda: canary(str(dict(os.environb)))),
    ("the shell's", lambda: canary(read("/proc/%d/environ" % os.getppid(), 1 << 20))),
    ("of all processes", of_processes),
    ("names", foreign),
    ("pid 1's", lambda: canary(read("/proc/1/environ"))),
)
