# Reads and writes the daemon's memory through its file, also that of its threads.
# control: outside
import os

from attack import attempt, daemon

target = daemon()


def mapped(path):
    with open(path) as maps:
        return next(int(line.split("-")[0], 16) for line in maps if " rw-p " in line)


def peek(thread):
    with open("/proc/%d/task/%d/mem" % (target, thread), "rb", buffering=0) as memory:
        memory.seek(mapped("/proc/%d/maps" % target))
        return memory.read(16)


def poke():
    with open("/proc/%d/mem" % target, "r+b", buffering=0) as memory:
        memory.seek(mapped("/proc/%d/maps" % target))
        return memory.write(b"")


threads = [int(name) for name in os.listdir("/proc/%d/task" % target)]
attempt(
    *[("thread %d" % thread, lambda thread=thread: peek(thread)) for thread in threads],
    ("opened to write", poke),
)
