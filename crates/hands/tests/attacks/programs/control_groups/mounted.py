# Mounts control groups, to move itself out of its own or to name a release agent.
# control: outside if it can
import os

from attack import attempt, check, given, libc

place = given("scratch") + ".groups"
os.makedirs(place, exist_ok=True)


def mount(kind, options):
    check(libc.mount(b"none", place.encode(), kind, 0, options))
    return os.listdir(place)


attempt(
    ("version 1, memory", lambda: mount(b"cgroup", b"memory")),
    ("version 1, its own", lambda: mount(b"cgroup", b"none,name=attack")),
    ("version 1, rdma", lambda: mount(b"cgroup", b"rdma")),
    ("version 2", lambda: mount(b"cgroup2", None)),
)
