# Looks for anything that listens on the sandbox's own loopback interface, and would be a way out.
# control: outside
import socket

from attack import CONTROL, attempt, given

# What a gateway opens in a sandbox: its resolver, its proxy, what is turned to it. It judges for itself who asks.
GATEWAY = {53, 80, 443, 3128, 3129}


def listening(family, host):
    for port in [given("host.tcp"), given("host.tcp6")] if CONTROL else range(1, 65536):
        if port in GATEWAY:
            continue
        with socket.socket(family, socket.SOCK_STREAM) as stream:
            # Asked for a port that is free, a socket may be given that very one, and reach itself.
            if stream.connect_ex((host, port)) == 0 and stream.getsockname() != stream.getpeername():
                return "port %d of %s" % (port, host)
    return None


def known():
    """From the kernel's own table; ports of its own programs may come and go."""
    found = []
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(path) as table:
            fields = [line.split() for line in table.readlines()[1:]]
        found += [int(row[1].rsplit(":", 1)[1], 16) for row in fields if row[3] == "0A"]
    return [port for port in found if port not in GATEWAY]


attempt(
    ("version 4", lambda: listening(socket.AF_INET, "127.0.0.1")),
    ("version 6", lambda: listening(socket.AF_INET6, "::1")),
    ("the table", known),
    patience=20,
)
