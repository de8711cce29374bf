# Writes until nothing more fits: what it works in, what is passed on, what every program may write to.
# kind: hoard
# control: inside
import os

from attack import given, hoard

PLACES = ("/workspace", "/tmp", "/mnt/session/outputs", "/mnt/session/tool_outputs", "/dev/shm", "/dev")


def hold():
    written = 0
    for place in PLACES:
        try:
            with open(place + "/attack-fills-it", "wb", buffering=0) as file:
                while file.write(b"x" * (1 << 20)) == 1 << 20 and written < 1 << 30:
                    written += 1 << 20
        except OSError:
            continue
    return "%d MiB" % (written >> 20)


def use():
    path = given("scratch") + ".use"
    with open(path, "wb", buffering=0) as file:
        for _ in range(16):
            if file.write(b"x" * 65536) != 65536:
                raise OSError(0, "no room")
    os.unlink(path)


hoard(hold, use)
