# Allows itself namespaces again, by the setting that bounds them.
# control: outside if it can
import os

from attack import attempt, read, write

KINDS = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time")


def user_namespaces():
    """The second bar, should the filter ever fail."""
    allowed = int(read("/proc/sys/user/max_user_namespaces"))
    return allowed != 0 and "%d allowed" % allowed


def opened(kind):
    return os.open("/proc/sys/user/max_%s_namespaces" % kind, os.O_WRONLY)


attempt(
    ("what is set", user_namespaces),
    ("set", lambda: write("/proc/sys/user/max_user_namespaces", b"1000\n")),
    *[(kind, lambda kind=kind: opened(kind)) for kind in KINDS],
)
