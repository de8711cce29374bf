# Takes all the room for message queues that the user who made the sandbox may have.
# kind: hoard
# control: inside
import ctypes
import os

from attack import KEPT, check, hoard

librt = ctypes.CDLL("librt.so.1", use_errno=True)


def hold():
    while True:
        queue = librt.mq_open(b"/attack-%d" % len(KEPT), 0o102, 0o600, None)
        if queue < 0:
            return len(KEPT)
        KEPT.append(queue)


def use():
    name = b"/use-%d" % os.getpid()
    check(librt.mq_open(name, 0o102, 0o600, None))
    librt.mq_unlink(name)


hoard(hold, use)
