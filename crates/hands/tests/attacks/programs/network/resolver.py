# Asks the sandbox's resolver itself: by datagram and stream, for inner names, for whole zones, with answers of its own.
# control: none, for nothing of a test should leave the machine
import socket
import struct

from attack import attempt, read

A, ANY, AXFR, PTR = 1, 255, 252, 12


def question(name, kind, head=(0x1234, 0x0100, 1, 0, 0, 0)):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
    return struct.pack("!6H", *head) + labels + struct.pack("!2H", kind, 1)


def servers():
    told = [line.split()[1] for line in read("/etc/resolv.conf").decode().splitlines() if line.startswith("nameserver")]
    return told + ["127.0.0.1", "127.0.0.53", "127.0.0.11"]


def inner(answer):
    """An address in the answer that is not public: the last four bytes of a record of type A."""
    at = answer.find(b"\x00\x01\x00\x01", 12)
    while at >= 0:
        length = answer[at + 8 : at + 10]
        first = answer[at + 10 : at + 12]
        if length == b"\0\x04" and (first[:1] in (b"\x7f", b"\x0a", b"\0") or first in (b"\xa9\xfe", b"\xc0\xa8")):
            return "an answer with an inner address"
        at = answer.find(b"\x00\x01\x00\x01", at + 1)
    return None


def datagram(server, asked):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.5)
        asking.connect((server, 53))
        asking.send(asked)
        return inner(asking.recv(4096))


def stream(server, asked):
    with socket.create_connection((server, 53), 0.5) as asking:
        asking.sendall(struct.pack("!H", len(asked)) + asked)
        return inner(asking.recv(4096))


QUESTIONS = {
    "an inner name": question("metadata.google.internal", A),
    "a zone": question("localhost", AXFR),
    "everything": question("localhost", ANY),
    "a name backwards": question("1.0.0.127.in-addr.arpa", PTR),
    "a question in an answer": question("attack.invalid", A, (0x1234, 0x8180, 1, 1, 0, 0)),
    "a loop of names": struct.pack("!6H", 1, 0x0100, 1, 0, 0, 0) + b"\xc0\x0c\0\x01\0\x01",
}
attempt(
    *[
        ("%s of %s by %s" % (name, server, way.__name__), lambda s=server, w=way, q=asked: w(s, q))
        for server in dict.fromkeys(servers())
        for name, asked in QUESTIONS.items()
        for way in (datagram, stream)
    ],
    also=("TimeoutError", "timeout"),
)
