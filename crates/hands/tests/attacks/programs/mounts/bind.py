# Shows directories a second time, moves mounts about, and lets mounts spread.
# control: outside if it can
import os

from attack import CONTROL, MS_BIND, MS_MOVE, MS_PRIVATE, MS_REC, attempt, given, syscall

place = (given("scratch") + ".bind").encode()
os.makedirs(place, exist_ok=True)
MS_SHARED = 1 << 20

steps = [
    ("a second view", lambda: syscall("mount", b"/", place, None, MS_BIND | MS_REC, None)),
    ("spreading", lambda: syscall("mount", None, b"/", None, MS_SHARED | MS_REC, None)),
    ("keeping apart", lambda: syscall("mount", None, b"/", None, MS_PRIVATE | MS_REC, None)),
]
if not CONTROL:
    steps += [
        ("moved", lambda: syscall("mount", b"/proc", place, None, MS_MOVE, None)),
        ("over a setting", lambda: syscall("mount", b"/dev/null", b"/proc/sys/kernel/hostname", None, MS_BIND, None)),
    ]
attempt(*steps)
