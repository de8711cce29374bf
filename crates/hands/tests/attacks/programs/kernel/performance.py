# Counts and samples what the processor does, for itself and for others.
# control: outside if it can
import ctypes
import struct

from attack import attempt, syscall


def counted(kind, which, process, processor):
    attributes = ctypes.create_string_buffer(struct.pack("IIQQQQ", kind, 128, which, 0, 0, 0), 128)
    return "descriptor %d" % syscall("perf_event_open", attributes, process, processor, -1, 0)


attempt(
    ("its own clock", lambda: counted(1, 0, 0, -1)),
    ("the whole machine", lambda: counted(1, 0, -1, 0)),
    ("pid 1", lambda: counted(1, 0, 1, -1)),
    ("cycles", lambda: counted(0, 0, 0, -1)),
    ("a probe", lambda: counted(6, 0, -1, 0)),
    also=("EINVAL",),
)
