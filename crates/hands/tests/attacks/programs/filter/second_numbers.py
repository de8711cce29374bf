# Uses the second set of numbers, of programs with 32-bit pointers on x86-64.
# control: outside if it can
from attack import NUMBERS, attempt, syscall
from machine import only_on_x86

only_on_x86()
X32 = 0x40000000
NAMES = ("getpid", "unshare", "mount", "keyctl", "bpf", "ptrace", "setns", "kexec_load", "open_by_handle_at")


def call(name):
    return "answered %d" % syscall(X32 | NUMBERS[name][0], 0, 0, 0, 0, 0)


# Some have numbers of their own there.
OWN = {"ptrace": 521, "kexec_load": 528, "process_vm_readv": 539}
attempt(
    *[(name, lambda name=name: call(name)) for name in NAMES],
    *[(name + ", its own", lambda one=one: "answered %d" % syscall(X32 | one, 0, 0, 0)) for name, one in OWN.items()],
)
