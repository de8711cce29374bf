# Looks for the writable layer of the sandbox next door where the host builds such layers.
# control: none, for they are built in a mount namespace that the host does not see either
import glob

from attack import attempt

PLACES = ("/tmp", "/mnt", "/run", "/dev/shm", "/var/lib")


def layers(place):
    return [found for name in ("upper", "usr-upper", "work", "base") for found in glob.glob("%s/**/%s" % (place, name))]


attempt(*[(place, lambda place=place: layers(place)) for place in PLACES])
