# Resolves names that lead to where no sandbox should get.
# control: none, for nothing of a test should leave the machine
import ipaddress
import socket

from attack import attempt, given

NAMES = """metadata.google.internal metadata host.docker.internal gateway.docker.internal host.containers.internal
    kubernetes.default.svc kubernetes.default.svc.cluster.local instance-data instance-data.ec2.internal
    router.local printer.local wpad attack.test attack.invalid""".split()

# Addresses that a gateway may give out in place of those it connects to.
STANDING_IN = ipaddress.ip_network("198.18.0.0/15")


def inner(name):
    found = {ipaddress.ip_address(entry[4][0].split("%")[0]) for entry in socket.getaddrinfo(name, 80)}
    return [str(one) for one in found if not one.is_global and one not in STANDING_IN]


attempt(
    *[(name, lambda name=name: inner(name)) for name in [*NAMES, given("rebinding")]],
    also=("gaierror", "SILENCE"),
    patience=3,
)
