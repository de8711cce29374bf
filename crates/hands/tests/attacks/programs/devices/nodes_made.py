# Makes device nodes of disks and memory, wherever it can write, and opens them.
# control: outside if it can
import os
import stat

from attack import attempt, given

NODES = (
    ("a virtual disk", stat.S_IFBLK, 254, 0),
    ("a disk", stat.S_IFBLK, 8, 0),
    ("memory", stat.S_IFCHR, 1, 1),
    ("ports", stat.S_IFCHR, 1, 4),
)
PLACES = (given("scratch") + ".nodes", "/tmp", "/dev", "/dev/shm", "/run", "/workspace", "/var/tmp")


def made(place, kind, major, minor):
    path = "%s/attack-%d-%d" % (place, major, minor)
    os.mknod(path, kind | 0o666, os.makedev(major, minor))
    try:
        return "%s, descriptor %d" % (path, os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    finally:
        os.unlink(path)


os.makedirs(PLACES[0], exist_ok=True)
steps = [
    ("%s in %s" % (name, place), lambda place=place, node=(kind, major, minor): made(place, *node))
    for place in PLACES
    for name, kind, major, minor in NODES
]
attempt(*steps)
