# Opens a socket of a family that the filter refuses, in spellings that it may not know.
# control: outside if it can
from attack import X86, attempt, syscall

SOCKET, SOCKETPAIR = (41, 53) if X86 else (198, 199)
ALG, PACKET, VSOCK, NETLINK = 38, 17, 40, 16


def opened(call, family, kind, protocol, *more):
    return "descriptor %d" % syscall(call, family, kind, protocol, *more)


attempt(
    ("plainly", lambda: opened(SOCKET, ALG, 5, 0)),
    ("with an upper half", lambda: opened(SOCKET, ALG | 1 << 32, 5, 0)),
    ("with flags", lambda: opened(SOCKET, ALG, 5 | 0o2000000 | 0o4000, 0)),
    ("packets with an upper half", lambda: opened(SOCKET, PACKET | 1 << 40, 3, 0)),
    ("netlink, its protocol with an upper half", lambda: opened(SOCKET, NETLINK, 3, 15 | 1 << 32)),
    ("netlink, flags in its kind", lambda: opened(SOCKET, NETLINK, 3 | 0o2000000, 12)),
    ("a pair", lambda: opened(SOCKETPAIR, VSOCK, 1, 0, bytes(8))),
    also=("EINVAL",),
)
