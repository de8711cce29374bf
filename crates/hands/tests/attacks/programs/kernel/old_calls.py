# Uses what is left of old calls, and calls that reach hardware.
# control: outside if it can
import ctypes

from attack import CONTROL, X86, attempt, syscall

steps = [
    ("cookies of directories", lambda: "done, %d" % syscall("lookup_dcookie", 0, ctypes.create_string_buffer(64), 64)),
    ("a server of files", lambda: "done, %d" % syscall("nfsservctl", 0, None, None)),
]
if X86:
    steps += [
        ("ports", lambda: "done, %d" % syscall(173, 0x80, 1, 1)),
        ("all ports", lambda: "done, %d" % syscall(172, 3)),
        ("a library", lambda: "done, %d" % syscall(134, b"/lib/x86_64-linux-gnu/libc.so.6")),
        ("settings by number", lambda: "done, %d" % syscall(156, None)),
    ]
if not CONTROL:
    steps.append(("a hang-up", lambda: "done, %d" % syscall("vhangup")))
attempt(*steps)
