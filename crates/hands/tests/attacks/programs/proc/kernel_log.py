# Reads and clears the kernel's log.
# control: outside if it can
import ctypes
import os

from attack import attempt, syscall

buffer = ctypes.create_string_buffer(4096)


def records(path):
    return os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 4096)


attempt(
    ("all of it", lambda: syscall("syslog", 3, buffer, 4096)),
    ("its size", lambda: syscall("syslog", 10, None, 0)),
    ("its file", lambda: records("/proc/kmsg")),
    ("its device", lambda: records("/dev/kmsg")),
    also=("EAGAIN",),
)
