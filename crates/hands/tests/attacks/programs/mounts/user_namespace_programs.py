# Has the usual programs make namespaces and mounts for it.
# control: outside if it can
import shutil
import subprocess

from attack import CONTROL, attempt

COMMANDS = [["unshare", "--user", "--map-root-user", "true"], ["unshare", "--mount", "true"]]
if not CONTROL:
    COMMANDS += [
        ["unshare", "--net", "true"],
        ["nsenter", "--target", "1", "--mount", "true"],
        ["nsenter", "--all", "--target", "1", "true"],
        ["mount", "-t", "tmpfs", "none", "/mnt"],
        ["mount", "--bind", "/", "/mnt"],
        ["umount", "/proc"],
        ["umount", "-l", "/usr"],
        ["chroot", "/", "true"],
        ["bwrap", "--dev-bind", "/", "/", "true"],
        ["fusermount", "-u", "/mnt"],
        ["fusermount3", "-u", "/mnt"],
        ["newuidmap", "1", "0", "0", "1"],
        ["ip", "link", "add", "attack0", "type", "dummy"],
        ["runuser", "-u", "nobody", "true"],
    ]


def ran(command):
    if shutil.which(command[0]) is None:
        return None
    return subprocess.run(command, check=False, capture_output=True).returncode == 0 and "it worked"


attempt(*[(" ".join(command), lambda command=command: ran(command)) for command in COMMANDS])
