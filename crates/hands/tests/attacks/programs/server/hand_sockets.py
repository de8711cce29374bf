# Speaks to daemons as the server does: finds their sockets, and sends frames of its own making.
# control: outside
import json
import os
import socket
import stat
import struct

from attack import attempt, given

HELLO = json.dumps({"seq": 1, "epoch": 1, "verb": "hello", "version": 1}).encode()


def greet(path):
    """In steps, for a socket's address is short."""
    os.chdir(os.path.dirname(path))
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(2)
        stream.connect(os.path.basename(path))
        stream.sendall(struct.pack("<I", len(HELLO)) + HELLO)
        return stream.recv(4096)[4:]


def found():
    """Every socket in the tree."""
    waiting, answers = ["/"], []
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and entry.path not in ("/proc", "/usr", "/sys"):
                waiting.append(entry.path)
            elif stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                try:
                    answers.append((entry.path, greet(entry.path)))
                except OSError:
                    continue
    return [answer for answer in answers if answer[1]]


hands = [given("data") + "/" + name for name in given("hands")]
attempt(
    *[("the hand in " + hand, lambda hand=hand: greet(hand + "/socket")) for hand in hands],
    ("through the root of pid 1", lambda: greet("/proc/1/root" + hands[0] + "/socket")),
    ("through the descriptor of pid 1", lambda: greet("/proc/1/fd/3")),
    ("beside the input files", lambda: greet("/mnt/session/uploads/../socket")),
    ("any socket", found),
)
