# Watches devices that the host and every sandbox share, and a file of its own, and tells what was done to them.
import os
import select
import sys
import time

from attack import check, libc

DEVICES = ("/dev/full", "/dev/zero", "/dev/random")
own = sys.argv[1]
ALL = 0xFFF


def watch(path):
    instance = check(libc.inotify_init1(os.O_NONBLOCK))
    check(libc.inotify_add_watch(instance, path.encode(), ALL))
    return instance


watched = {}
for path in (own, *DEVICES):
    try:
        watched[watch(path)] = path
    except OSError as error:
        print(path, error.strerror, flush=True)
print("READY", flush=True)
seen = set()
until = time.monotonic() + 3
while time.monotonic() < until and not os.path.exists(own + ".enough"):
    ready, _, _ = select.select(list(watched), [], [], 0.1)
    for instance in ready:
        os.read(instance, 65536)
        seen.add(watched[instance])
for path in sorted(seen):
    print("SEEN", path, flush=True)
print("DONE", flush=True)
