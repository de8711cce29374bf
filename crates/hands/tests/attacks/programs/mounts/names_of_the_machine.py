# Gives the machine another name.
# control: outside if it can
from attack import attempt, syscall, write

attempt(
    ("its host name", lambda: "set, %d" % syscall("sethostname", b"attack", 6)),
    ("its domain", lambda: "set, %d" % syscall("setdomainname", b"attack", 6)),
    ("its setting", lambda: write("/proc/sys/kernel/hostname", b"attack")),
)
