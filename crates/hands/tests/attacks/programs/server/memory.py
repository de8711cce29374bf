# Reads the memory of a process of the host, by its number and an address in it.
# control: outside if it can
import ctypes
import os

from attack import attempt, canary, given, syscall

process, address = given("host.pid"), given("host.address")


def memory_file():
    with open("/proc/%d/mem" % process, "rb", buffering=0) as memory:
        memory.seek(address)
        return canary(memory.read(64))


class Piece(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def copied():
    buffer = ctypes.create_string_buffer(64)
    here, there = Piece(ctypes.addressof(buffer), 64), Piece(address, 64)
    syscall("process_vm_readv", process, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    return canary(buffer.raw)


def traced():
    syscall("ptrace", 16, process, 0, 0)
    os.waitpid(process, 0x40000000)
    syscall("ptrace", 17, process, 0, 0)
    return "traced"


attempt(("its memory file", memory_file), ("a copy", copied), ("a trace", traced), also=("EIO",))
