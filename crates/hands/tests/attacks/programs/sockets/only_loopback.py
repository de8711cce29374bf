# Looks for an interface, a route or a neighbour besides the loopback.
# control: outside if it can
import socket

from attack import attempt, read


def interfaces():
    return [name for _, name in socket.if_nameindex() if name not in ("lo",)]


def routes(path):
    with open(path) as table:
        return [line for line in table if line.split()[0] not in ("Iface", "lo")][:1]


def routes6():
    with open("/proc/net/ipv6_route") as table:
        return [line for line in table if line.split()[-1] != "lo"][:1]


def neighbours():
    return read("/proc/net/arp").decode().splitlines()[1:]


attempt(
    ("interfaces", interfaces),
    ("routes", lambda: routes("/proc/net/route")),
    ("routes 6", routes6),
    ("neighbours", neighbours),
)
