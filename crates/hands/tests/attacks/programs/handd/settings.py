# Writes the daemon's settings: its name, its score when memory runs out, what is dumped of it.
# control: outside
import os

from attack import attempt, daemon, write

target = daemon()


def opened(path):
    return os.open(path, os.O_WRONLY)


NAMES = """oom_score_adj oom_adj comm coredump_filter clear_refs autogroup sched loginuid uid_map gid_map setgroups
    projid_map timens_offsets make-it-fail latency""".split()
steps = [(name, lambda name=name: opened("/proc/%d/%s" % (target, name))) for name in NAMES]
attempt(
    *steps,
    # All may open this one; who may write to it is looked at later.
    ("timerslack_ns", lambda: write("/proc/%d/timerslack_ns" % target, b"1000000000")),
    ("a thread's name", lambda: opened("/proc/%d/task/%d/comm" % (target, target))),
)
