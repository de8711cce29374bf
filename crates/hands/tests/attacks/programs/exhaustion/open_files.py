# Opens as many files as it may, in several processes.
# kind: hoard
# control: inside
import os
import resource
import time

from attack import hoard


def opened():
    count = 0
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        while True:
            os.open("/dev/null", os.O_RDONLY)
            count += 1
    except OSError:
        return count


def hold():
    ear, mouth = os.pipe()
    for _ in range(4):
        if os.fork() == 0:
            os.write(mouth, b"%d " % opened())
            time.sleep(20)
            os._exit(0)
    total = b""
    while total.count(b" ") < 4:
        total += os.read(ear, 100)
    return sum(int(one) for one in total.split())


def use():
    for _ in range(100):
        os.open("/dev/null", os.O_RDONLY)


hoard(hold, use)
