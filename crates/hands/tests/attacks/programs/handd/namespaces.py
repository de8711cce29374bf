# Opens the daemon's namespaces, by its files and by a descriptor of it.
# control: outside
import fcntl
import os

from attack import attempt, daemon, syscall

target = daemon()
NAMES = os.listdir("/proc/self/ns")


def opened(name):
    return os.open("/proc/%d/ns/%s" % (target, name), os.O_RDONLY)


def by_descriptor(request):
    """Since 6.11 a descriptor of a process gives those of its namespaces."""
    held = syscall("pidfd_open", target, 0)
    return "descriptor %d" % fcntl.ioctl(held, 0xFF00 | request)


attempt(
    *[(name, lambda name=name: opened(name)) for name in NAMES],
    *[("request %d" % number, lambda number=number: by_descriptor(number)) for number in range(1, 11)],
    also=("ENOTTY", "EINVAL"),
)
