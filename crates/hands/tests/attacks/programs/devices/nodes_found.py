# Looks through the whole tree for a device that is none of the few that every program needs.
# control: outside if it can
import os
import stat

from attack import attempt

# null, zero, full, random, urandom, the terminal of whoever asks, the multiplexer of terminals.
COMMON = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)}
# Terminals of its own.
TERMINALS = range(136, 144)


def strange():
    waiting = ["/dev", "/"]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            found = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode) and entry.path not in ("/proc", "/sys", "/usr", "/dev"):
                waiting.append(entry.path)
            if stat.S_ISBLK(found.st_mode):
                return entry.path
            number = (os.major(found.st_rdev), os.minor(found.st_rdev))
            if stat.S_ISCHR(found.st_mode) and number not in COMMON and number[0] not in TERMINALS:
                return entry.path
    return None


attempt(("the tree", strange), patience=15)
