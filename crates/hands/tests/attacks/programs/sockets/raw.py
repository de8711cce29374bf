# Opens sockets that carry packets as they are.
# control: outside if it can
import socket

from attack import attempt

ETH_P_ALL, RAW = 0x0300, 255


def opened(family, kind, protocol):
    with socket.socket(family, kind, protocol):
        return "opened"


attempt(
    ("packets", lambda: opened(17, socket.SOCK_RAW, ETH_P_ALL)),
    ("packets without their heads", lambda: opened(17, socket.SOCK_DGRAM, ETH_P_ALL)),
    ("internet", lambda: opened(socket.AF_INET, socket.SOCK_RAW, RAW)),
    ("echoes", lambda: opened(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)),
    ("echoes for all", lambda: opened(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)),
    ("internet 6", lambda: opened(socket.AF_INET6, socket.SOCK_RAW, 58)),
    ("tcp, as it is", lambda: opened(socket.AF_INET, socket.SOCK_RAW, 6)),
)
