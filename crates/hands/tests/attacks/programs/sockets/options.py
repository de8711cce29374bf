# Sets options of sockets that only the machine's keeper should.
# control: outside if it can
import socket
import struct

from attack import attempt


def set_option(level, option, value, family=socket.AF_INET, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as any_socket:
        any_socket.setsockopt(level, option, value)
        return "set"


MARK, PRIORITY, FORCED, TRANSPARENT, SET_REPLACE, ATTACH_BPF = 36, 12, 33, 19, 64, 50
attempt(
    ("a mark", lambda: set_option(socket.SOL_SOCKET, MARK, 7)),
    ("a high priority", lambda: set_option(socket.SOL_SOCKET, PRIORITY, 7)),
    ("a buffer beyond the limit", lambda: set_option(socket.SOL_SOCKET, FORCED, 1 << 30)),
    ("foreign addresses", lambda: set_option(socket.IPPROTO_IP, TRANSPARENT, 1)),
    ("a firewall", lambda: set_option(socket.IPPROTO_IP, SET_REPLACE, bytes(96), kind=socket.SOCK_DGRAM)),
    ("a firewall, raw", lambda: set_option(socket.IPPROTO_IP, SET_REPLACE, bytes(96), kind=socket.SOCK_RAW)),
    ("a repair", lambda: set_option(socket.IPPROTO_TCP, 19, 1)),
    ("a program of the kernel", lambda: set_option(socket.SOL_SOCKET, ATTACH_BPF, struct.pack("i", 0))),
    also=("ENOPROTOOPT", "EINVAL", "EBADF"),
)
