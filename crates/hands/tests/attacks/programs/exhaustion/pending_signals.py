# Leaves as many signals pending as there may be, which are counted for the user who made the sandbox; timers are too.
# kind: hoard
# control: inside
import ctypes
import os
import signal

from attack import check, hoard, libc


def hold():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
    sent = 0
    while libc.sigqueue(os.getpid(), signal.SIGRTMIN, None) == 0:
        sent += 1
    return sent


def use():
    timer = ctypes.c_void_p()
    check(libc.timer_create(1, None, ctypes.byref(timer)))


hoard(hold, use)
