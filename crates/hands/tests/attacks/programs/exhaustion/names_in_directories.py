# Makes empty files, which take no room but a place in the table of files.
# kind: hoard
# control: inside
import os
import time

from attack import given, hoard


def hold():
    made = 0
    until = time.monotonic() + 2
    for place in ("/dev", "/workspace"):
        try:
            os.makedirs(place + "/attack-names", exist_ok=True)
            while time.monotonic() < until:
                os.close(os.open("%s/attack-names/%d" % (place, made), os.O_CREAT | os.O_WRONLY))
                made += 1
        except OSError:
            continue
    return made


def use():
    path = given("scratch") + ".names"
    os.makedirs(path)
    os.rmdir(path)


hoard(hold, use)
