# Makes as many processes as it may, which sleep.
# kind: hoard
# control: inside
import os
import time

from attack import hoard


def hold():
    count = 0
    while True:
        try:
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
        except OSError:
            return count
        count += 1


def use():
    for _ in range(8):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)


hoard(hold, use)
