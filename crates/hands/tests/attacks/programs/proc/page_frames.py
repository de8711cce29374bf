# Learns which physical memory its own lies in, as attacks on the memory chips need to know.
# control: outside if it can
import ctypes
import struct

from attack import attempt

buffer = ctypes.create_string_buffer(b"x" * 8192)


def frames():
    with open("/proc/self/pagemap", "rb", buffering=0) as pages:
        pages.seek(ctypes.addressof(buffer) // 4096 * 8)
        (entry,) = struct.unpack("Q", pages.read(8))
    return entry & ((1 << 55) - 1) or None


attempt(("its own", frames))
