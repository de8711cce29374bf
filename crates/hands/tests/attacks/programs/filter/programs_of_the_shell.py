# Has a freshly executed shell, and one that it starts in a session of its own, do what is refused here.
# control: outside if it can
import subprocess
import sys

from attack import attempt

CALL = "import ctypes; print(ctypes.CDLL(None).unshare(0x10000000))"


def ran(*command):
    told = subprocess.run([*command, sys.executable, "-c", CALL], check=False, capture_output=True, text=True).stdout
    return told.strip() == "0" and "it worked"


attempt(
    ("executed", lambda: ran("/usr/bin/env", "-i")),
    ("a session of its own", lambda: ran("setsid", "--wait")),
    ("its loader", lambda: ran("/bin/sh", "-c", 'exec "$@"', "sh")),
)
