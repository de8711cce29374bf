# Climbs out of the directory of input files, which lies in a directory of the host.
# control: outside
import os

from attack import attempt, canary, given, read

start = os.path.dirname(given("upload"))
path = given("host.file")


def from_descriptor(climb):
    held = os.open(start, os.O_RDONLY | os.O_DIRECTORY)
    return canary(os.read(os.open(climb + path[1:], os.O_RDONLY, dir_fd=held), 4096))


def from_working_directory():
    os.fchdir(os.open(start, os.O_RDONLY | os.O_DIRECTORY))
    for _ in range(40):
        os.chdir("..")
    return canary(read(path[1:]))


def through_link():
    held = os.open(start, os.O_PATH | os.O_DIRECTORY)
    return canary(read("/proc/self/fd/%d/%s" % (held, "../" * 40 + path[1:])))


def beside():
    """What lies beside the input files in a hand's own directory on the host."""
    return [name for name in ("journal", "socket", "address.json") if os.path.lexists(start + "/../" + name)]


attempt(
    ("a descriptor", lambda: from_descriptor("../" * 40)),
    ("a working directory", from_working_directory),
    ("a link of the kernel", through_link),
    ("its neighbours", beside),
)
