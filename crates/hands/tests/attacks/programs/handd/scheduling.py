# Decides when, where and how urgently the daemon runs. Here it is told what holds already.
# control: outside
import ctypes
import os

from attack import attempt, daemon, syscall

target = daemon()


def policy():
    parameter = ctypes.c_int(0)
    # SCHED_OTHER.
    return "set, %d" % syscall("sched_setscheduler", target, 0, ctypes.byref(parameter))


def processors():
    os.sched_setaffinity(target, os.sched_getaffinity(target))
    return "set"


def priority():
    os.setpriority(os.PRIO_PROCESS, target, os.getpriority(os.PRIO_PROCESS, target))
    return "set"


def disk_priority():
    # IOPRIO_WHO_PROCESS, best effort, the default level.
    return "set, %d" % syscall("ioprio_set", 1, target, 2 << 13 | 4)


attempt(("policy", policy), ("processors", processors), ("priority", priority), ("disk priority", disk_priority))
