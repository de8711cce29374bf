# Reads the machine's memory through the kernel's own views of it.
# control: outside if it can
import os

from attack import attempt

PLACES = """/proc/kcore /proc/kpagecount /proc/kpageflags /proc/kpagecgroup /proc/vmallocinfo /proc/slabinfo
    /proc/vmcore /proc/timer_list /proc/pagetypeinfo /proc/sched_debug /sys/kernel/debug /sys/kernel/tracing/trace
    /sys/kernel/mm /sys/firmware/acpi/tables /proc/mtrr /sys/kernel/vmcoreinfo /dev/crash""".split()


def first(path):
    return os.listdir(path) if os.path.isdir(path) else open(path, "rb", buffering=0).read(16)


attempt(*[(path, lambda path=path: first(path)) for path in PLACES], also=("EIO", "EINVAL"))
