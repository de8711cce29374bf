# Freezes, trims or grows the host's file system through the directory of input files.
# control: none, for the host would stand still
import fcntl
import os

from attack import attempt, given

FIFREEZE, FITHAW, FITRIM, EXT4_IOC_SHUTDOWN = 0xC0045877, 0xC0045878, 0xC0185879, 0x8004587D


def asked(place, request, argument):
    return "done, %r" % fcntl.ioctl(os.open(place, os.O_RDONLY | os.O_DIRECTORY), request, argument)


PLACES = (os.path.dirname(given("upload")), "/usr", "/workspace", "/dev/shm")
attempt(
    *[
        ("%s of %s" % (name, place), lambda place=place, request=request: asked(place, request, bytes(24)))
        for place in PLACES
        for name, request in (("freeze", FIFREEZE), ("thaw", FITHAW), ("trim", FITRIM), ("shutdown", EXT4_IOC_SHUTDOWN))
    ],
    also=("ENOTTY", "EOPNOTSUPP"),
)
