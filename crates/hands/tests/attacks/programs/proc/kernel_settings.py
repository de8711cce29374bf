# Opens every setting of the kernel to write.
# control: outside if it can
import os

from attack import attempt


def writable(top):
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:
                continue
            return path
    return None


kinds = sorted(os.listdir("/proc/sys"))
attempt(*[(name, lambda name=name: writable("/proc/sys/" + name)) for name in kinds], patience=15)
