# Traces any process that is not its own.
# control: none, for the host's processes have work to do
import os

from attack import attempt, syscall


def others():
    own = {os.getpid(), os.getppid()}
    found = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [process for process in found if process not in own and not mine(process)]


def mine(process):
    """The shell's session is this one's own."""
    try:
        return os.getsid(process) == os.getsid(0) and process != 1
    except OSError:
        return False


def seize(process):
    syscall("ptrace", 0x4206, process, 0, 0)
    return "seized %d" % process


attempt(*[(str(process), lambda process=process: seize(process)) for process in others()[:50]])
