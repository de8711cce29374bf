# Puts another kernel in the place of this one, restarts the machine, or turns it off.
# control: outside if it can

from attack import CONTROL, attempt, syscall

RESTART, OFF, CAD_OFF = 0x01234567, 0x4321FEDC, 0
steps = [
    # More pieces than can be.
    ("from memory", lambda: "loaded, %d" % syscall("kexec_load", 0, 1000, None, 0)),
    ("from a file", lambda: "loaded, %d" % syscall("kexec_file_load", -1, -1, 0, None, 0)),
    # Not the numbers that are asked for: whoever may not is refused before they are looked at.
    ("a restart", lambda: "done, %d" % syscall("reboot", 1, 2, RESTART, None)),
]
if not CONTROL:
    steps += [
        ("the keys for it", lambda: "done, %d" % syscall("reboot", 0xFEE1DEAD, 672274793, CAD_OFF, None)),
        ("of this pid namespace", lambda: "done, %d" % syscall("reboot", 0xFEE1DEAD, 672274793, OFF, None)),
    ]
attempt(*steps)
