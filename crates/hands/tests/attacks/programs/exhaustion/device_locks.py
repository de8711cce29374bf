# Locks the devices that are the same for the host and every sandbox.
# kind: hoard
# control: inside
import fcntl

from attack import KEPT, hoard

NAMES = ("null", "zero", "full", "random", "urandom", "tty")


def locked(name):
    device = open("/dev/" + name, "rb", buffering=0)
    fcntl.flock(device, fcntl.LOCK_EX | fcntl.LOCK_NB)
    KEPT.append(device)


def hold():
    for name in NAMES:
        try:
            locked(name)
        except OSError:
            continue
    return len(KEPT)


def use():
    for name in NAMES[:-1]:
        locked(name)


hoard(hold, use)
