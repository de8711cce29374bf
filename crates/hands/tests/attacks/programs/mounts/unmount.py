# Takes mounts off, to see what lies below them.
# control: none, for the host's mounts are needed
from attack import attempt, syscall

MNT_FORCE, MNT_DETACH, MNT_EXPIRE = 1, 2, 4
PLACES = (b"/usr", b"/proc/sys", b"/proc", b"/dev/null", b"/dev/shm", b"/dev", b"/mnt/session/uploads", b"/")


def unmount(place, flags):
    return "taken off, %d" % syscall("umount2", place, flags)


attempt(
    *[
        ("%s, %s" % (place.decode(), name), lambda place=place, flags=flags: unmount(place, flags))
        for place in PLACES
        for name, flags in (("at once", 0), ("detached", MNT_DETACH), ("expired", MNT_EXPIRE), ("by force", MNT_FORCE))
    ]
)
