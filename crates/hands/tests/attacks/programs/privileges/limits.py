# Raises its own limits above what it was given.
# control: outside if it can
import resource

from attack import attempt

NAMES = [name for name in dir(resource) if name.startswith("RLIMIT_")]


def raised(name):
    limit = getattr(resource, name)
    _, most = resource.getrlimit(limit)
    if most == resource.RLIM_INFINITY:
        return None
    try:
        resource.setrlimit(limit, (most + 1, most + 1))
    except ValueError as error:
        # So Python calls it that the kernel does not allow it.
        return None if "not allowed" in str(error) else str(error)
    return "%s above %d" % (name, most)


attempt(*[(name, lambda name=name: raised(name)) for name in NAMES])
