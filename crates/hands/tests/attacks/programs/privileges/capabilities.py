# Takes capabilities: sets them, raises them, keeps them, inherits them.
# control: none, for whoever is root outside has them
import ctypes
import struct

from attack import attempt, syscall

ALL = 0xFFFFFFFF


def set_all(version):
    head = ctypes.create_string_buffer(struct.pack("Ii", version, 0))
    data = ctypes.create_string_buffer(struct.pack("IIIIII", ALL, ALL, ALL, ALL, ALL, ALL))
    return "set, %d" % syscall("capset", head, data)


def has():
    with open("/proc/self/status") as status:
        return [line for line in status if line.startswith("Cap") and int(line.split()[1], 16)]


def ambient(capability):
    return "raised, %d" % syscall("prctl", 47, 2, capability, 0, 0)


attempt(
    ("what it has", has),
    ("version 1", lambda: set_all(0x19980330)),
    ("version 2", lambda: set_all(0x20071026)),
    ("version 3", lambda: set_all(0x20080522)),
    *[("ambient %d" % number, lambda number=number: ambient(number)) for number in (0, 2, 12, 21)],
)
