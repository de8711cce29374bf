# Opens sockets of every family but the few that programs need.
# control: outside if it can
import socket

from attack import attempt

NEEDED = {1: "unix", 2: "inet", 10: "inet6", 16: "netlink"}
KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET)


def opened(family):
    for kind in KINDS:
        try:
            with socket.socket(family, kind, 0):
                return "family %d, kind %d" % (family, kind)
        except OSError as error:
            last = error
    raise last


attempt(*[(str(family), lambda family=family: opened(family)) for family in range(3, 48) if family not in NEEDED])
