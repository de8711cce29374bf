# Follows the daemon's links: its root, its working directory, its program.
# control: outside
import os
import subprocess

from attack import attempt, daemon, read

target = daemon()


def run_again():
    """A second daemon, which would start in its usage."""
    return subprocess.run(["/proc/%d/exe" % target], check=False, capture_output=True).stderr or "it ran"


attempt(
    ("its root", lambda: os.listdir("/proc/%d/root" % target)),
    ("its working directory", lambda: os.listdir("/proc/%d/cwd" % target)),
    ("the name of its root", lambda: os.readlink("/proc/%d/root" % target)),
    ("the name of its program", lambda: os.readlink("/proc/%d/exe" % target)),
    ("its program", lambda: read("/proc/%d/exe" % target, 16)),
    ("its program, run", run_again),
    ("a thread's root", lambda: os.listdir("/proc/%d/task/%d/root" % (target, target))),
)
