# Changes the times of a device, which is one and the same for the host and every sandbox.
# control: outside
import os

from attack import attempt

NAMES = ("null", "zero", "full", "random", "urandom", "tty")


def touched(name):
    before = os.stat("/dev/" + name).st_mtime_ns
    os.utime("/dev/" + name)
    return os.stat("/dev/" + name).st_mtime_ns != before and "the host's has changed"


attempt(*[(name, lambda name=name: touched(name)) for name in NAMES])
