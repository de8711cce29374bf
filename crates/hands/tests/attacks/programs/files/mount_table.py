# Reads in the tables of mounts how the host calls the directories that show inside.
# control: none, for a table outside says where file systems are mounted, not where Stead keeps its data
import ctypes
import struct

from attack import attempt, given, read, syscall

MARKER = given("marker").encode()


def seen(data):
    at = data.find(MARKER)
    return None if at < 0 else data[max(0, at - 80) : at + 60].decode(errors="replace")


def statmount():
    """Roots and sources of all mounts, one by one, as the kernel tells them since 6.8."""
    every = (1 << 64) - 1
    found = (ctypes.c_uint64 * 256)()
    request = ctypes.create_string_buffer(struct.pack("=IIQQ", 24, 0, every, 0))
    count = syscall("listmount", request, found, 256, 0)
    for number in found[:count]:
        request = ctypes.create_string_buffer(struct.pack("=IIQQ", 24, 0, number, 0x3F))
        answer = ctypes.create_string_buffer(8192)
        syscall("statmount", request, answer, 8192, 0)
        if seen(answer.raw):
            return seen(answer.raw)
    return None


attempt(
    ("mountinfo", lambda: seen(read("/proc/self/mountinfo", 1 << 20))),
    ("mounts", lambda: seen(read("/proc/self/mounts", 1 << 20))),
    ("mountstats", lambda: seen(read("/proc/self/mountstats", 1 << 20))),
    ("statmount", statmount),
    ("pid 1's mountinfo", lambda: seen(read("/proc/1/mountinfo", 1 << 20))),
    also=("EINVAL",),
)
