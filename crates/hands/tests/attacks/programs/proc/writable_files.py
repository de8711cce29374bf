# Opens every other file of /proc that belongs to the machine, not to a process, to write.
# control: outside if it can
import os

from attack import attempt

# Anybody may ask to be told of pressure, with limits of its own.
HARMLESS = ("/proc/pressure/",)


def writable(top):
    waiting = [top]
    while waiting:
        path = waiting.pop()
        if os.path.isdir(path) and not os.path.islink(path):
            try:
                waiting.extend(os.path.join(path, name) for name in os.listdir(path))
            except OSError:
                continue
            continue
        if path.startswith(HARMLESS) or os.path.islink(path):
            continue
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            continue
        return path
    return None


def is_machines(name):
    return not name.isdigit() and name not in ("self", "thread-self", "sys", "net", "mounts")


attempt(*[(name, lambda name=name: writable("/proc/" + name)) for name in os.listdir("/proc") if is_machines(name)])
