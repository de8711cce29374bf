# Names a program that the kernel is to run outside of every sandbox: for dumps, modules, devices, the end.
# control: outside if it can
import os

from attack import attempt

PLACES = """/proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/kernel/hotplug
    /proc/sys/kernel/poweroff_cmd /proc/sys/kernel/usermodehelper/bset /proc/sys/kernel/usermodehelper/inheritable
    /proc/sys/fs/binfmt_misc/register /sys/kernel/uevent_helper /sys/fs/cgroup/release_agent""".split()


def opened(path):
    """Opening is enough: a control must leave the host's own as it is."""
    return os.open(path, os.O_WRONLY)


attempt(*[(path, lambda path=path: opened(path)) for path in PLACES])
