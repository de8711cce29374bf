# Asks for, and sets, quotas of the host's file systems.
# control: none, for few file systems keep quotas
import ctypes
import os

from attack import attempt, given, syscall

answer = ctypes.create_string_buffer(256)
Q_SYNC, Q_GETINFO, Q_GETQUOTA, Q_QUOTAOFF = 0x800001, 0x800005, 0x800007, 0x800003
REQUESTS = {"sync": Q_SYNC, "info": Q_GETINFO, "quota": Q_GETQUOTA, "off": Q_QUOTAOFF}


def by_descriptor(request):
    held = os.open(os.path.dirname(given("upload")), os.O_RDONLY)
    return "done, %d" % syscall("quotactl_fd", held, request << 8, 0, answer)


def by_device(request):
    return "done, %d" % syscall("quotactl", request << 8, b"/dev/vda", 0, answer)


attempt(
    *[(name, lambda one=one: by_device(one)) for name, one in REQUESTS.items()],
    *[(name + ", by descriptor", lambda one=one: by_descriptor(one)) for name, one in REQUESTS.items()],
)
