# Looks through the whole tree for a file of the host, by its name.
# control: outside
import os

from attack import attempt, given

NAME = os.path.basename(given("host.file"))


def search():
    waiting = [given("search")]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            if entry.name == NAME:
                return entry.path
            # What is below these is the kernel's, or a copy of what everybody has.
            if entry.is_dir(follow_symlinks=False) and entry.path not in ("/proc", "/usr"):
                waiting.append(entry.path)


attempt(("the tree", search), patience=20)
