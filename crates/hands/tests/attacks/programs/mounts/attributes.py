# Changes the attributes of mounts: read-only, no devices, whose users they show.
# control: none, for outside all would get them
import ctypes
import os
import struct

from attack import AT_FDCWD, attempt, syscall

CLEARED = struct.pack("=QQQQ", 0, 1 | 2 | 4 | 8, 0, 0)


def set_attributes(place, attributes):
    told = ctypes.create_string_buffer(attributes, 32)
    return "set, %d" % syscall("mount_setattr", AT_FDCWD, place, 0x8000, told, 32)


def mapped(place):
    users = os.open("/proc/self/ns/user", os.O_RDONLY)
    return set_attributes(place, struct.pack("=QQQQ", 0x00100000, 0, 0, users))


PLACES = (b"/mnt/session/uploads", b"/proc/sys", b"/", b"/usr", b"/dev")
attempt(
    *[("%s, cleared" % place.decode(), lambda place=place: set_attributes(place, CLEARED)) for place in PLACES],
    *[("%s, mapped" % place.decode(), lambda place=place: mapped(place)) for place in PLACES],
)
