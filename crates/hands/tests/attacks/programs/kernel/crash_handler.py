# Crashes, so that a program which the host names for that runs outside of the sandbox with what the crash left.
# control: none, for few hosts name one
import os
import resource
import signal

from attack import attempt


def dumped(number, limit):
    child = os.fork()
    if child == 0:
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (most if limit is None else limit, most))
        # Into a directory where the file may be made.
        os.chdir("/tmp")
        os.kill(os.getpid(), number)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WCOREDUMP(status) and "something took the dump"


attempt(
    ("with all it may", lambda: dumped(signal.SIGABRT, None)),
    ("with nought, which does not keep it from a program", lambda: dumped(signal.SIGSEGV, 0)),
)
