# Handles its own page faults, and so stops the kernel wherever it touches its memory.
# control: outside if it can
import os

from attack import attempt, syscall

attempt(
    ("the call", lambda: "descriptor %d" % syscall("userfaultfd", 0)),
    ("the call, for itself only", lambda: "descriptor %d" % syscall("userfaultfd", 1)),
    ("the device", lambda: os.open("/dev/userfaultfd", os.O_RDWR)),
)
