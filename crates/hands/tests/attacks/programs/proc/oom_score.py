# Makes the kernel spare its processes, and end those of the host, when the machine is out of memory.
# control: outside if it can
from attack import CONTROL, attempt, read, write


def lowered():
    before = int(read("/proc/self/oom_score_adj"))
    write("/proc/self/oom_score_adj", b"%d" % (before - 100 if CONTROL else 0))
    after = int(read("/proc/self/oom_score_adj"))
    return after < before and "from %d to %d" % (before, after)


def below_nought():
    return write("/proc/self/oom_score_adj", b"-500")


def by_the_old_name():
    write("/proc/self/oom_adj", b"-15")
    return "set"


attempt(("lowered", lowered), ("below nought", below_nought), ("by the old name", by_the_old_name))
