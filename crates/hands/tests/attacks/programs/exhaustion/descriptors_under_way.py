# Sends descriptors that nobody receives, as many as may be under way for a user.
# kind: hoard
# control: inside
import array
import resource
import socket

from attack import KEPT, hoard


def hold():
    sent = 0
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    while sent < 100_000:
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        KEPT.append(pair)
        pair[0].setblocking(False)
        passed = array.array("i", [pair[0].fileno()] * 250)
        try:
            while True:
                pair[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
                sent += len(passed)
        except BlockingIOError:
            continue
        except OSError:
            return sent
    return sent


def use():
    one, other = socket.socketpair()
    one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))])


hoard(hold, use)
