# Changes the root of all processes.
# control: none, for outside all would get it
from attack import attempt, syscall

PLACES = (b".", b"/dev/shm", b"/mnt/session/uploads", b"/proc", b"/usr")


def changed(place):
    return "changed, %d" % syscall("pivot_root", place, place)


attempt(*[(place.decode(), lambda place=place: changed(place)) for place in PLACES])
