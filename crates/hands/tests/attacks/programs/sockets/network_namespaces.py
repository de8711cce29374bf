# Reaches another network through a process, a descriptor or a socket that belongs to it.
# control: none, for outside there is one network
import os
import socket

from attack import attempt, given, read


def listed():
    """The host's listening ports, in whatever table."""
    wanted = "%04X" % given("host.tcp")
    for process in os.listdir("/proc"):
        for kind in ("tcp", "tcp6"):
            try:
                table = read("/proc/%s/net/%s" % (process, kind), 1 << 20).decode()
            except OSError:
                continue
            if process.isdigit() and ":" + wanted + " " in table:
                return "listed for process %s" % process
    return None


def interfaces():
    for process in os.listdir("/proc"):
        try:
            names = [line.split(":")[0].strip() for line in open("/proc/%s/net/dev" % process).readlines()[2:]]
        except OSError:
            continue
        if process.isdigit() and names != ["lo"]:
            return "process %s has %s" % (process, names)
    return None


def inherited():
    for number in range(3, 256):
        try:
            held = socket.socket(fileno=os.dup(number))
            if held.family in (socket.AF_INET, socket.AF_INET6):
                return "descriptor %d" % number
        except OSError:
            continue
    return None


attempt(("the host's ports", listed), ("the host's interfaces", interfaces), ("a socket left open", inherited))
