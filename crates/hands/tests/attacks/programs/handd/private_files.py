# Reads what the kernel tells of the daemon to nobody but itself: environment, layout, registers, counters.
# control: outside
import os

from attack import attempt, daemon, read

target = daemon()
NAMES = """environ auxv maps smaps smaps_rollup numa_maps pagemap mem syscall stack io personality
    clear_refs timers""".split()


def first(name):
    return read("/proc/%d/%s" % (target, name), 64)


def of_threads():
    for thread in os.listdir("/proc/%d/task" % target):
        try:
            return read("/proc/%d/task/%s/environ" % (target, thread), 64)
        except OSError:
            continue
    return None


def addresses():
    """Where its code, stack and arguments are: zero in a status that hides them."""
    fields = read("/proc/%d/stat" % target, 4096).rsplit(b")", 1)[1].split()
    # Start of code, end of code, start of stack, stack pointer, instruction pointer; and the areas of newer kernels.
    hidden = [fields[number - 3] for number in (26, 27, 28, 29, 30, 45, 46, 47, 48, 49, 50, 51)]
    # One that is hidden reads 1 or 0.
    return [value for value in hidden if int(value) > 1]


attempt(
    *[(name, lambda name=name: first(name)) for name in NAMES],
    ("a thread's environment", of_threads),
    ("addresses in its status", addresses),
    also=("EINVAL",),
)
