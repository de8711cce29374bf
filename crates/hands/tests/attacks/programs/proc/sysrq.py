# Sends the machine a key that reboots, syncs or kills.
# control: outside if it can
import os

from attack import attempt

attempt(
    ("the trigger", lambda: os.open("/proc/sysrq-trigger", os.O_WRONLY)),
    ("its setting", lambda: os.open("/proc/sys/kernel/sysrq", os.O_WRONLY)),
)
