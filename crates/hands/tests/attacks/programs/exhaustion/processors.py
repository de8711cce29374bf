# Keeps every processor busy with more work than it can ever do.
# kind: hoard
# control: none, for it slows and denies nothing
import os
import time

from attack import hoard


def hold():
    for count in range(24):
        try:
            if os.fork() == 0:
                until = time.monotonic() + 15
                while time.monotonic() < until:
                    pass
                os._exit(0)
        except OSError:
            return count
    return 24


hoard(hold, lambda: sum(range(100_000)))
