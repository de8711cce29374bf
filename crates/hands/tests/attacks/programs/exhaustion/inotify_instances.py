# Takes every instance of inotify that there is for the user who made the sandbox.
# kind: hoard
# control: inside
from attack import KEPT, check, hoard, libc


def hold():
    while True:
        instance = libc.inotify_init()
        if instance < 0:
            return len(KEPT)
        KEPT.append(instance)


hoard(hold, lambda: check(libc.inotify_init()))
