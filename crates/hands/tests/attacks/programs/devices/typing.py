# Types into a terminal as if its user had, and makes a terminal the console.
# control: outside if it can
import fcntl
import os
import struct

from attack import CONTROL, attempt

TIOCSCTTY, TIOCSTI, TIOCLINUX, TIOCCONS, TIOCVHANGUP = 0x540E, 0x5412, 0x541C, 0x541D, 0x5437


def own(request, *argument):
    """On the terminal of its session, where kernels of old let anybody type."""
    _, line = os.openpty()
    fcntl.ioctl(line, TIOCSCTTY, 0)
    return "done, %r" % fcntl.ioctl(line, request, *argument)


def foreign():
    """On whatever the shell was given as its terminal."""
    for path in ("/dev/tty", "/dev/console", "/proc/1/fd/0", "/proc/%d/fd/0" % os.getppid()):
        try:
            fcntl.ioctl(os.open(path, os.O_RDWR | os.O_NOCTTY), TIOCSTI, b"x")
        except OSError:
            continue
        return path
    return None


steps = [("a letter", lambda: own(TIOCSTI, b"x"))]
if not CONTROL:
    steps += [
        ("a selection", lambda: own(TIOCLINUX, struct.pack("B", 2) + bytes(16))),
        ("a letter on whatever terminal", foreign),
        ("the console", lambda: own(TIOCCONS, 0)),
        ("a hang-up", lambda: own(TIOCVHANGUP, 0)),
    ]
attempt(*steps, also=("EIO",))
