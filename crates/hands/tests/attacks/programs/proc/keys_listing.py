# Lists the keys and key rings of the host's users.
# control: outside if it can
from attack import attempt, given, read

NAME = given("host.name").encode()


def seen(path):
    found = read(path, 1 << 20)
    return NAME in found and "the host's key is listed"


def rings():
    return b"_ses" in read("/proc/keys", 1 << 20) and "a session's ring is listed"


attempt(("keys", lambda: seen("/proc/keys")), ("rings", rings))
