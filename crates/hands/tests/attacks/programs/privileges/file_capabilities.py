# Gives a program capabilities, and runs the host's that have some.
# control: outside if it can
import os
import shutil
import struct
import subprocess

from attack import attempt, given

place = given("scratch") + ".capable"
os.makedirs(place, exist_ok=True)


def made(version, *more):
    path = place + "/status"
    shutil.copy("/bin/cat", path)
    # To open low ports: permitted, and effective.
    value = struct.pack("<IIIII", version << 24 | 1, 1 << 10, 0, 0, 0) + bytes(more)
    os.setxattr(path, "security.capability", value)
    told = subprocess.run([path, "/proc/self/status"], check=False, capture_output=True, text=True).stdout
    capable = next(line.split()[1] for line in told.splitlines() if line.startswith("CapEff"))
    return int(capable, 16) != 0 and "capabilities %s" % capable


attempt(("made", lambda: made(2)), ("made for a namespace", lambda: made(3, 0, 0, 0, 0)), also=("EINVAL",))
