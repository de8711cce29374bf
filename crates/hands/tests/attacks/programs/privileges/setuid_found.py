# Runs the host's programs that run as root there.
# control: none, for they would do their work
import glob
import os
import stat
import subprocess

from attack import attempt

KNOWN = {
    "su": ["su", "-c", "id"],
    "sudo": ["sudo", "-n", "id"],
    "pkexec": ["pkexec", "id"],
    "mount": ["mount", "-t", "tmpfs", "none", "/mnt"],
    "newgrp": ["newgrp", "shadow"],
    "passwd": ["passwd", "-S", "root"],
    "chage": ["chage", "-l", "root"],
    "expiry": ["expiry", "-c"],
}


def gained():
    """Each that is there, with a tracer's eye: as whom does it run?"""
    for path in glob.glob("/usr/bin/*") + glob.glob("/usr/sbin/*") + glob.glob("/usr/lib/*/*"):
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or not found.st_mode & 0o6000:
            continue
        if not os.access(path, os.X_OK):
            continue
        nowhere = subprocess.DEVNULL
        with subprocess.Popen([path], stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere) as ran:
            try:
                with open("/proc/%d/status" % ran.pid) as file:
                    status = {line.split(":")[0]: line.split()[1:] for line in file}
            except OSError:
                continue
            finally:
                ran.kill()
            if len(set(status["Uid"])) > 1 or len(set(status["Gid"])) > 1 or int(status["CapEff"][0], 16):
                return "%s runs with %s %s %s" % (path, status["Uid"], status["Gid"], status["CapEff"])
    return None


def shadow(command):
    try:
        ran = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=3)
    except FileNotFoundError:
        return None
    except subprocess.TimeoutExpired:
        return None
    # To work is one thing; to work as somebody else another.
    return command[0] == "mount" and ran.returncode == 0 and "it mounted"


attempt(
    ("as whom they run", gained),
    *[(name, lambda one=one: shadow(one)) for name, one in KNOWN.items()],
    patience=15,
)
