# Goes from its own namespaces to those above and beside them.
# control: none, for above those of the host there is nothing
import fcntl
import os
import socket

from attack import attempt

# The user namespace that owns it, and the one above.
REQUESTS = {"owner": 0xB701, "parent": 0xB702}


def related(name, request):
    held = os.open("/proc/self/ns/" + name, os.O_RDONLY)
    found = fcntl.ioctl(held, request)
    # Its own is no way out.
    return os.fstat(found).st_ino != os.stat("/proc/self/ns/user").st_ino and "descriptor %d" % found


def next_mounts(request):
    held = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    return "descriptor %d" % fcntl.ioctl(held, request, bytes(16))


def of_socket():
    with socket.socket() as any_socket:
        return "descriptor %d" % fcntl.ioctl(any_socket, 0x894C)


steps = [
    ("%s of %s" % (kind, name), lambda name=name, request=request: related(name, request))
    for name in os.listdir("/proc/self/ns")
    for kind, request in REQUESTS.items()
]
attempt(
    *steps,
    ("the next mounts", lambda: next_mounts(0x8010B70B)),
    ("the mounts before", lambda: next_mounts(0x8010B70C)),
    ("of a socket", of_socket),
    also=("EINVAL", "ENOTTY", "EFAULT"),
)
