# Has the kernel load modules by asking for what only they can do: protocols, families, line disciplines, formats.
# control: none, for a module that is loaded on the host stays
import fcntl
import os
import socket
import struct

from attack import attempt

SCTP, DCCP, UDPLITE, MPTCP, L2TP = 132, 33, 136, 262, 115


def modules():
    with open("/proc/modules") as file:
        return {line.split()[0] for line in file}


def loads(step):
    """What is new afterwards, whatever became of the step."""
    try:
        before = modules()
    except FileNotFoundError:
        # A kernel without modules loads none.
        return None
    try:
        step()
    except OSError:
        pass
    return sorted(modules() - before)


def discipline(number):
    _, line = os.openpty()
    fcntl.ioctl(line, 0x5423, struct.pack("i", number))


def upper_layer():
    with socket.socket() as stream:
        stream.setsockopt(socket.IPPROTO_TCP, 31, b"espintcp")


DISCIPLINES = (1, 2, 3, 5, 13, 15, 21, 23)
STEPS = {
    "sctp": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, SCTP).close(),
    "dccp": lambda: socket.socket(socket.AF_INET, 6, DCCP).close(),
    "udplite": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, UDPLITE).close(),
    "mptcp": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP).close(),
    "l2tp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, L2TP).close(),
    "algorithms": lambda: socket.socket(38, socket.SOCK_SEQPACKET, 0).close(),
    "an upper layer": upper_layer,
    **{"line discipline %d" % number: lambda number=number: discipline(number) for number in DISCIPLINES},
}
attempt(*[(name, lambda step=step: loads(step)) for name, step in STEPS.items()])
