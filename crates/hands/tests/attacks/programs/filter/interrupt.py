# Calls the kernel by the interrupt of 32-bit programs, under whose numbers other calls are found.
# control: outside if it can
from attack import attempt
from machine import GETPID, KEYCTL, UNSHARE, function, only_on_x86

only_on_x86()

# push rbx; mov eax, edi; mov ebx, esi; mov ecx, edx; xor edx, edx; xor esi, esi; xor edi, edi
# int 0x80; cdqe; pop rbx; ret
CODE = bytes.fromhex("53 89f8 89f3 89d1 31d2 31f6 31ff cd80 4898 5b c3")


def interrupt(*numbers):
    answered = function(CODE, *numbers)
    if answered < 0:
        raise OSError(-answered, "refused")
    return "answered %d" % answered


attempt(
    ("a harmless call", lambda: interrupt(GETPID, 0, 0)),
    ("a user namespace", lambda: interrupt(UNSHARE, 0x10000000, 0)),
    ("keys", lambda: interrupt(KEYCTL, 0, 0xFFFFFFFD)),
)
