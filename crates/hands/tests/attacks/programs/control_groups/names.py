# Learns from the names of its groups what the host calls this sandbox, and how deep it lies.
# control: none, for a process outside may well be in no group
from attack import attempt, read


def named(path):
    """A group other than the root of what is seen."""
    lines = read(path, 1 << 16).decode().splitlines()
    return [line for line in lines if line.split(":", 2)[2] != "/"]


attempt(
    ("its own", lambda: named("/proc/self/cgroup")),
    ("pid 1's", lambda: named("/proc/1/cgroup")),
    ("its set of processors", lambda: read("/proc/self/cpuset").strip() not in (b"", b"/") and "named"),
)
