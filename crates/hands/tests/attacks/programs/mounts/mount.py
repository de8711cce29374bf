# Mounts file systems of every kind.
# control: outside if it can
import os

from attack import attempt, given, syscall

place = given("scratch") + ".mount"
os.makedirs(place, exist_ok=True)
KINDS = """tmpfs proc sysfs devtmpfs devpts mqueue cgroup2 debugfs securityfs ramfs bpf binfmt_misc""".split()


def mount(kind):
    return "mounted, %d" % syscall("mount", b"none", place.encode(), kind.encode(), 0, None)


attempt(*[(kind, lambda kind=kind: mount(kind)) for kind in KINDS])
