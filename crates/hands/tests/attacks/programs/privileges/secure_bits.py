# Takes back the locks that keep user 0 from having capabilities.
# control: none, for the locks are not set outside
from attack import attempt, syscall

PR_SET_KEEPCAPS, PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_READ = 8, 28, 38, 23


def bounding():
    return [number for number in range(64) if number < 41 and syscall("prctl", PR_CAPBSET_READ, number, 0, 0, 0)]


attempt(
    ("the bits", lambda: "set, %d" % syscall("prctl", PR_SET_SECUREBITS, 0, 0, 0, 0)),
    ("keeping", lambda: "set, %d" % syscall("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)),
    ("new privileges", lambda: "allowed, %d" % syscall("prctl", PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)),
    ("the bounding set", bounding),
    ("whether privileges may grow", lambda: syscall("prctl", 39, 0, 0, 0, 0) != 1 and "they may"),
    also=("EINVAL",),
)
