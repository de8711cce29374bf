# Reads files below /usr that not everybody on the host may read: as they are, and moved, linked or exchanged first.
# control: outside if it can
import os
import stat

from attack import AT_FDCWD, CONTROL, attempt, read, syscall

PLACES = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/usr/lib/dbus-1.0", "/usr/lib/openssh", "/usr/share")


def closed():
    for place in PLACES:
        try:
            entries = list(os.scandir(place))
        except OSError:
            continue
        for entry in entries:
            found = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(found.st_mode) and not found.st_mode & 0o004:
                yield entry.path


def reopened(path):
    return read("/proc/self/fd/%d" % os.open(path, os.O_PATH), 16)


def linked(path):
    os.link(path, path + ".linked")
    return read(path + ".linked", 16)


def moved(path):
    os.rename(path, path + ".moved")
    return read(path + ".moved", 16)


def opened_up(path):
    os.chmod(path, 0o644)
    return read(path, 16)


def exchanged(path):
    with open(path + ".other", "w"):
        pass
    syscall("renameat2", AT_FDCWD, path.encode(), AT_FDCWD, (path + ".other").encode(), 2)
    return read(path + ".other", 16)


# A control only reads: these are the host's own.
WAYS = (read, reopened) if CONTROL else (read, reopened, linked, opened_up, exchanged, moved)
found = list(closed())[:20]
attempt(*[("%s, %s" % (path, way.__name__), lambda p=path, w=way: w(p)) for path in found for way in WAYS])
