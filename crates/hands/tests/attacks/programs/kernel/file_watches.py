# Watches what the whole machine does with files, and may allow or forbid it.
# control: outside if it can
from attack import attempt, syscall

CONTENT, PRE_CONTENT, FILESYSTEM_NAMES = 4, 8, 0xE00
attempt(
    ("told", lambda: "descriptor %d" % syscall("fanotify_init", 0, 0)),
    ("asked", lambda: "descriptor %d" % syscall("fanotify_init", CONTENT, 0)),
    ("asked first", lambda: "descriptor %d" % syscall("fanotify_init", PRE_CONTENT, 0)),
    ("told of names", lambda: "descriptor %d" % syscall("fanotify_init", FILESYSTEM_NAMES, 0)),
    ("told of mounts", lambda: "descriptor %d" % syscall("fanotify_init", 0x4000, 0)),
    also=("EINVAL",),
)
