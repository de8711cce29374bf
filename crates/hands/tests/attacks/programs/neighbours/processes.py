# Looks for the processes of the sandbox next door, by what their command lines and environments say.
# control: neighbour
import os

from attack import attempt, canary, given, read


def processes():
    return [name for name in os.listdir("/proc") if name.isdigit()]


def marked(kind):
    for process in processes():
        try:
            found = read("/proc/%s/%s" % (process, kind))
        except OSError:
            continue
        if canary(found) or given("neighbour.name").encode() in found:
            return "process %s" % process
    return None


attempt(("environments", lambda: marked("environ")), ("command lines", lambda: marked("cmdline")))
