# Puts itself into another group from the moment it is made, or by a namespace of groups.
# control: none, for it needs a group that is made for it
import ctypes
import os
import struct

from attack import CLONE_NEWCGROUP, attempt, syscall


def from_birth():
    """CLONE_INTO_CGROUP, with a descriptor of whatever directory."""
    held = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    arguments = struct.pack("=QQQQQQQQQQQ", 0x200000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, held)
    child = syscall("clone3", ctypes.create_string_buffer(arguments, len(arguments)), len(arguments))
    if child == 0:
        os._exit(0)
    return "made process %d" % child


attempt(
    ("from birth", from_birth),
    ("a namespace", lambda: "unshared, %d" % syscall("unshare", CLONE_NEWCGROUP)),
)
