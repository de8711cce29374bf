# Opens the kernel's own channels: for audits, devices, firewalls, keys, processes.
# control: outside
import socket

from attack import attempt

ROUTES = 0


def opened(protocol):
    with socket.socket(16, socket.SOCK_RAW, protocol):
        return "protocol %d" % protocol


attempt(*[(str(protocol), lambda protocol=protocol: opened(protocol)) for protocol in range(32) if protocol != ROUTES])
