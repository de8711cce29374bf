# Turns on swap and accounts of processes, which the kernel would write to files of its choice.
# control: outside if it can
from attack import CONTROL, attempt, syscall

MISSING = b"/attack-that-is-not-there"
steps = [
    ("swap", lambda: "on, %d" % syscall("swapon", MISSING, 0)),
    ("no swap", lambda: "off, %d" % syscall("swapoff", MISSING)),
    ("accounts", lambda: "on, %d" % syscall("acct", MISSING)),
]
if not CONTROL:
    steps.append(("no accounts", lambda: "off, %d" % syscall("acct", None)))


def strictly(step):
    """That there is no such file is for those to know who may ask."""

    def tried():
        try:
            return step()
        except FileNotFoundError:
            return "it was looked for"

    return tried


attempt(*[(name, strictly(step)) for name, step in steps])
