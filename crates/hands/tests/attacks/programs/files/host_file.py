# Reads a file of the host by its path, and by ways around the path.
# control: outside
from attack import attempt, canary, given, read

path = given("host.file")
attempt(
    ("its path", lambda: canary(read(path))),
    ("above the root", lambda: canary(read("/.." * 40 + path))),
    ("the root of this process", lambda: canary(read("/proc/self/root" + path))),
    ("above the root of this process", lambda: canary(read("/proc/thread-self/root/../.." + path))),
    ("the root of pid 1", lambda: canary(read("/proc/1/root" + path))),
    ("the working directory of pid 1", lambda: canary(read("/proc/1/cwd" + path))),
)
