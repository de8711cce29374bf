# Makes namespaces of every kind for itself.
# control: outside if it can
from attack import CLONE_NEWNS, CLONE_NEWUSER, NAMESPACES, attempt, syscall


def unshare(flags):
    return "unshared, %d" % syscall("unshare", flags)


attempt(
    *[(name, lambda flag=flag: unshare(flag)) for name, flag in NAMESPACES.items()],
    *[("user and " + name, lambda flag=flag: unshare(flag | CLONE_NEWUSER)) for name, flag in NAMESPACES.items()],
    # The kernel ignores the upper half.
    ("spelt otherwise", lambda: unshare(CLONE_NEWUSER | CLONE_NEWNS | 1 << 40)),
    also=("EINVAL",),
)
