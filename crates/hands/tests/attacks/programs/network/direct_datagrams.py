# Sends datagrams out: for the time, for addresses, to everybody on the link, to groups.
# control: none, for nothing of a test should leave the machine
import socket

from attack import attempt, given

PLACES = """192.0.2.1 169.254.169.123 255.255.255.255 224.0.0.251 239.255.255.250 10.0.0.255 2001:db8::1 ff02::1
    ff02::fb""".split()
# The time, addresses, names on the link, services on the link.
PORTS = (123, 67, 5353, 1900)


def answered(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        asking.settimeout(0.3)
        asking.sendto(b"\x1b" + bytes(47), (host, port))
        return asking.recv(512)


asked = [(host, port) for host in PLACES + given("addresses") for port in PORTS]
attempt(
    *[("%s port %d" % place, lambda place=place: answered(*place)) for place in asked],
    also=("EADDRNOTAVAIL", "EINVAL", "TimeoutError"),
)
