# Lists, reads and reopens the daemon's descriptors: its listener, its journal, its log.
# control: outside
import os

from attack import attempt, daemon, read

target = daemon()


def listed(kind):
    return os.listdir("/proc/%d/%s" % (target, kind))


def reopened(number):
    return os.open("/proc/%d/fd/%d" % (target, number), os.O_RDONLY | os.O_NONBLOCK)


attempt(
    ("the list", lambda: listed("fd")),
    ("descriptor 3", lambda: reopened(3)),
    ("descriptor 4", lambda: reopened(4)),
    ("descriptor 2", lambda: reopened(2)),
    ("the journal, to write", lambda: os.open("/proc/%d/fd/4" % target, os.O_WRONLY)),
    ("what is told of 3", lambda: read("/proc/%d/fdinfo/3" % target)),
    ("mapped files", lambda: listed("map_files")),
)
