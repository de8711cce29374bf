# Reads a file of the sandbox next door, by its path there and through every process that is seen here.
# control: neighbour
import glob

from attack import attempt, canary, given, read

path = given("neighbour.file")


def through_processes():
    for root in glob.glob("/proc/[0-9]*/root") + glob.glob("/proc/[0-9]*/cwd"):
        try:
            return canary(read(root + path))
        except OSError:
            continue
    return None


attempt(
    ("its path", lambda: canary(read(path))),
    ("through a process", through_processes),
    ("its memory file", lambda: canary(read(given("neighbour.shared_file")))),
)
