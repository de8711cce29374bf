# Says in a message to be the daemon, or the kernel, or another user.
# control: outside if it can
import os
import socket
import struct

from attack import attempt

one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
other.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)


def pretend(process, user, group):
    claimed = struct.pack("iII", process, user, group)
    one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, claimed)])
    _, ancillary, _, _ = other.recvmsg(1, socket.CMSG_SPACE(12))
    believed = struct.unpack("iII", ancillary[0][2][:12])
    return believed == (process, user, group) and "believed: %s" % (believed,)


attempt(
    ("the daemon", lambda: pretend(1, os.getuid(), os.getgid())),
    ("another user", lambda: pretend(os.getpid(), 4321, os.getgid())),
    ("another group", lambda: pretend(os.getpid(), os.getuid(), 4321)),
    # Where there is no such user or group at all.
    also=("EINVAL",),
)
