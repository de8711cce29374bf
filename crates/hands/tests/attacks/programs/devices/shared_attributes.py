# Changes mode, owner, attributes and name of a device that is the host's.
# control: none, for the host's programs need them as they are
import os

from attack import attempt

NAMES = ("null", "zero", "full", "random", "urandom", "tty")


def steps(path):
    return [
        (path + ", its mode", lambda: os.chmod(path, 0o600) or "changed"),
        (path + ", its owner", lambda: os.chown(path, os.getuid(), os.getgid()) or "changed"),
        (path + ", its attributes", lambda: os.setxattr(path, "user.attack", b"x") or "changed"),
        (path + ", its name", lambda: os.rename(path, path + ".moved") or "changed"),
        (path + ", itself", lambda: os.unlink(path) or "removed"),
    ]


attempt(*[step for name in NAMES for step in steps("/dev/" + name)], also=("EBUSY", "EOPNOTSUPP"))
