# Sets the machine's clocks.
# control: none, for the host's should go right
import ctypes
import struct
import time

from attack import attempt, syscall

now = ctypes.create_string_buffer(struct.pack("qq", int(time.time()), 0), 16)
# Modes: an offset of nought.
adjustment = ctypes.create_string_buffer(struct.pack("I4xqq", 0x0001, 0, 0), 208)


def set_clock(clock):
    return "set, %d" % syscall("clock_settime", clock, now)


attempt(
    ("the time of day", lambda: "set, %d" % syscall("settimeofday", now, None)),
    ("the time zone", lambda: "set, %d" % syscall("settimeofday", None, bytes(8))),
    *[("clock %d" % number, lambda number=number: set_clock(number)) for number in (0, 1, 7, 11)],
    ("adjusted", lambda: "adjusted, %d" % syscall("adjtimex", adjustment)),
    ("a clock adjusted", lambda: "adjusted, %d" % syscall("clock_adjtime", 0, adjustment)),
    also=("EINVAL",),
)
