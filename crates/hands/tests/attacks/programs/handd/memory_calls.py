# Reads, writes, moves and drops the daemon's memory by system calls.
# control: outside
import ctypes

from attack import attempt, daemon, syscall

target = daemon()


class Piece(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("length", ctypes.c_size_t)]


buffer = ctypes.create_string_buffer(64)
here = Piece(ctypes.addressof(buffer), 64)
# A child has this buffer at the same address; what the daemon has there does not matter.
there = Piece(ctypes.addressof(buffer), 64)


def advise():
    held = syscall("pidfd_open", target, 0)
    # MADV_PAGEOUT: what may be done to another process.
    return "advised, %d" % syscall("process_madvise", held, ctypes.byref(there), 1, 21, 0)


def release():
    held = syscall("pidfd_open", target, 0)
    return "released, %d" % syscall("process_mrelease", held, 0)


def pages():
    status = ctypes.c_int()
    page = ctypes.c_void_p(there.at & ~4095)
    moved = syscall("move_pages", target, 1, ctypes.byref(page), None, ctypes.byref(status), 0)
    return "told of its pages, %d" % moved


attempt(
    ("read", lambda: syscall("process_vm_readv", target, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)),
    ("written", lambda: syscall("process_vm_writev", target, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)),
    ("advised", advise),
    ("released", release),
    ("moved", pages),
    also=("EINVAL",),
)
