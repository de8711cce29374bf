# Finds the machine's control groups: mounted, or seen through another process.
# control: outside if it can
import glob
import os

from attack import attempt


def mounted():
    with open("/proc/self/mounts") as table:
        return [line for line in table if line.split()[2] in ("cgroup", "cgroup2")][:1]


attempt(
    ("mounted", mounted),
    ("at the usual place", lambda: os.listdir("/sys/fs/cgroup")),
    ("through pid 1", lambda: glob.glob("/proc/1/root/sys/fs/cgroup/*")),
    ("in the tree", lambda: glob.glob("/*/**/cgroup.procs", recursive=False)),
)
