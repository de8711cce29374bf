# Takes descriptors out of the daemon.
# control: outside
from attack import attempt, daemon, syscall

target = daemon()


def steal(number):
    held = syscall("pidfd_open", target, 0)
    return "descriptor %d" % syscall("pidfd_getfd", held, number, 0)


attempt(*[("descriptor %d" % number, lambda number=number: steal(number)) for number in range(16)])
