# Makes programs that run as another user, and runs them.
# control: none, for a program that somebody makes his own runs as himself everywhere
import os
import shutil
import subprocess

from attack import attempt, given

place = given("scratch") + ".setuid"
os.makedirs(place, exist_ok=True)


def made(where):
    path = where + "/status"
    shutil.copy("/bin/cat", path)
    os.chmod(path, 0o6755)
    told = subprocess.run([path, "/proc/self/status"], check=False, capture_output=True, text=True).stdout
    fields = {line.split(":")[0]: line.split()[1:] for line in told.splitlines()}
    # Real and effective differ, or there are capabilities.
    changed = len(set(fields["Uid"])) > 1 or len(set(fields["Gid"])) > 1 or int(fields["CapEff"][0], 16) != 0
    return changed and "users %s, capabilities %s" % (fields["Uid"], fields["CapEff"])


def given_away(where):
    path = where + "/given"
    shutil.copy("/bin/cat", path)
    os.chown(path, 1, 1)
    return "given to another user"


PLACES = (place, "/tmp", "/dev/shm", "/usr/bin", "/run")
attempt(
    *[("made in " + where, lambda where=where: made(where)) for where in PLACES],
    *[("given away in " + where, lambda where=where: given_away(where)) for where in PLACES],
    also=("EINVAL",),
)
