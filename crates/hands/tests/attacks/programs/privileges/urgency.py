# Runs before everything else on the machine: real time, deadlines, a lower nice value, the disk's first class.
# control: outside if it can
import ctypes
import os
import struct

from attack import NUMBERS, attempt, syscall

NUMBERS["sched_setattr"] = (314, 274)


def policy(kind):
    os.sched_setscheduler(0, kind, os.sched_param(1))
    return "set"


def deadline():
    attributes = struct.pack("=IIQiIQQQ", 48, 6, 0, 0, 0, 1_000_000, 10_000_000, 10_000_000)
    return "set, %d" % syscall("sched_setattr", 0, ctypes.create_string_buffer(attributes, 48), 0)


def nicer():
    before = os.nice(0)
    return os.nice(-1) < before and "more urgent"


def disk():
    return "set, %d" % syscall("ioprio_set", 1, 0, 1 << 13)


attempt(
    ("first in, first out", lambda: policy(os.SCHED_FIFO)),
    ("in turns", lambda: policy(os.SCHED_RR)),
    ("a deadline", deadline),
    ("less nice", nicer),
    ("the disk", disk),
)
