# Maps itself to another user, by writing the tables that say who is who outside.
# control: none, for outside they are written once and for all
from attack import attempt, write

attempt(
    ("users", lambda: write("/proc/self/uid_map", b"0 0 4294967295\n")),
    ("groups", lambda: write("/proc/self/gid_map", b"0 0 4294967295\n")),
    ("leave to set groups", lambda: write("/proc/self/setgroups", b"allow")),
    ("time", lambda: write("/proc/self/timens_offsets", b"monotonic 1000 0\n")),
)
