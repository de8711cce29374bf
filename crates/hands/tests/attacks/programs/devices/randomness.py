# Feeds, empties and resets the machine's source of randomness.
# control: outside if it can
import fcntl
import os
import struct

from attack import CONTROL, attempt

random = os.open("/dev/urandom", os.O_RDWR)
REQUESTS = {
    # A control credits nothing: none of the others is for a machine in use.
    "credit": (0x40045201, struct.pack("i", 0)),
    "add": (0x40085203, struct.pack("ii", 8, 0)),
    "zero": (0x5204, b""),
    "clear": (0x5206, b""),
    "seed anew": (0x5207, b""),
}
tried = ["credit"] if CONTROL else list(REQUESTS)
attempt(*[(name, lambda request=REQUESTS[name]: "done, %r" % fcntl.ioctl(random, *request)) for name in tried])
