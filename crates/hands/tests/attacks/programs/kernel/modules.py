# Loads and takes out modules of the kernel.
# control: outside if it can
import os

from attack import attempt, syscall


def from_file():
    return "loaded, %d" % syscall("finit_module", os.open("/bin/true", os.O_RDONLY), b"", 0)


attempt(
    ("from memory", lambda: "loaded, %d" % syscall("init_module", None, 0, b"")),
    ("from a file", from_file),
    ("out", lambda: "out, %d" % syscall("delete_module", b"attack_that_is_not_there", 0o4000)),
)
