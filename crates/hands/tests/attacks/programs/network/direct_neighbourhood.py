# Asks what lies around the host: its addresses, its gateway, metadata, private ranges.
# control: none, for nothing of a test should leave the machine
import socket

from attack import attempt, given

USUAL = """169.254.169.254 169.254.170.2 100.100.100.200 10.0.0.1 10.0.2.2 172.16.0.1 172.17.0.1 192.168.0.1 192.168.1.1
    192.0.0.192 192.0.2.1 fd00:ec2::254 fe80::1 2001:db8::1 64:ff9b::a9fe:a9fe""".split()
PORTS = (80, 443, 22, 2375, 8080)


def served(host, port):
    """That somebody takes a connection says nothing: a gateway may stand in for the whole network, and then say no."""
    with socket.create_connection((host, port), 1) as stream:
        stream.sendall(b"GET / HTTP/1.0\r\nHost: attack.test\r\n\r\n")
        heard = stream.recv(4096)
    return heard[9:12] in (b"200", b"301", b"302", b"401", b"404") or heard.startswith(b"SSH-")


places = [(host, port) for host in USUAL for port in PORTS[:2]]
places += [(host, port) for host in given("addresses") for port in (*PORTS, given("host.tcp"))]
attempt(
    *[("%s port %d" % place, lambda place=place: served(*place)) for place in places],
    also=("EINVAL", "EADDRNOTAVAIL", "ECONNRESET"),
)
