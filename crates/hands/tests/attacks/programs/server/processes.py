# Looks for processes of the host, by number and by trying all numbers.
# control: outside
import os

from attack import attempt, given, read

NAME = given("host.name").encode()


def by_number():
    return NAME in read("/proc/%d/environ" % given("host.pid")) and "seen"


def listed():
    for process in os.listdir("/proc"):
        try:
            if process.isdigit() and NAME in read("/proc/%s/environ" % process, 1 << 20):
                return "process %s" % process
        except OSError:
            continue
    return None


def hidden():
    """A number that is not listed and still answers."""
    seen = set(os.listdir("/proc"))
    for process in range(1, 70000):
        if str(process) in seen or not os.path.exists("/proc/%d" % process):
            continue
        with open("/proc/%d/status" % process) as file:
            # A thread answers by its number without being listed.
            leader = next(line.split()[1] for line in file if line.startswith("Tgid:"))
        if leader not in seen and leader not in os.listdir("/proc"):
            return "process %d" % process
    return None


attempt(("its number", by_number), ("the list", listed), ("numbers not listed", hidden))
