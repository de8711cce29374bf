# Loads programs and tables into the kernel.
# control: outside if it can
import ctypes
import struct

from attack import attempt, syscall


def call(command, arguments):
    padded = ctypes.create_string_buffer(arguments, 144)
    return "done, %d" % syscall("bpf", command, padded, 144)


RETURN_0 = struct.pack("BBhi", 0xB7, 0, 0, 0) + struct.pack("BBhi", 0x95, 0, 0, 0)
code, licence = ctypes.create_string_buffer(RETURN_0, 16), ctypes.create_string_buffer(b"GPL")
PROGRAM = struct.pack("IIQQ", 1, 2, ctypes.addressof(code), ctypes.addressof(licence))
attempt(
    ("a table", lambda: call(0, struct.pack("IIII", 2, 4, 8, 1))),
    ("a program", lambda: call(5, PROGRAM)),
    ("the programs of others", lambda: call(11, struct.pack("I", 0))),
    also=("EINVAL",),
)
