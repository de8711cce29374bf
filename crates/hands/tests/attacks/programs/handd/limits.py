# Sets the daemon's limits. Here to what they are; to none it could open no file, and start no shell ever again.
# control: outside
import resource

from attack import attempt, daemon

target = daemon()


def set_again(limit):
    now = resource.getrlimit(limit)
    # Of the daemon, its own may differ; what is set is never more than what it has.
    resource.prlimit(target, limit, now)
    return "set to %s" % (now,)


attempt(
    ("open files", lambda: set_again(resource.RLIMIT_NOFILE)),
    ("processes", lambda: set_again(resource.RLIMIT_NPROC)),
    ("address space", lambda: set_again(resource.RLIMIT_AS)),
    ("processor time", lambda: set_again(resource.RLIMIT_CPU)),
    ("size of files", lambda: set_again(resource.RLIMIT_FSIZE)),
)
