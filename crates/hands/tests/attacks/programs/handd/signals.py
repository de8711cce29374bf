# Stops or ends the daemon with every signal, sent in every way.
# control: outside
import ctypes
import os
import signal
import time

from attack import attempt, daemon, syscall

target = daemon()


def state():
    with open("/proc/%d/stat" % target) as file:
        return file.read().rsplit(")", 1)[1].split()[0]


def stopped(send):
    for number in list(range(1, 32)) + list(range(34, 65)):
        # What is stopped would be woken by it.
        if number == signal.SIGCONT:
            continue
        for thread in os.listdir("/proc/%d/task" % target) if send is by_thread else [target]:
            try:
                send(int(thread), number)
            except ProcessLookupError:
                return "it has ended"
        if state() in "TtZX":
            return "it is stopped or dead after signal %d" % number
    time.sleep(0.05)
    return state() in "TtZX" and "it is stopped or dead"


def by_number(process, number):
    os.kill(process, number)


def by_thread(thread, number):
    syscall("tgkill", target, thread, number)


def by_descriptor(process, number):
    held = syscall("pidfd_open", process, 0)
    try:
        syscall("pidfd_send_signal", held, number, None, 0)
    finally:
        os.close(held)


def with_lies(process, number):
    """As if the kernel had sent it."""
    told = ctypes.create_string_buffer(128)
    ctypes.cast(told, ctypes.POINTER(ctypes.c_int))[0] = number
    ctypes.cast(told, ctypes.POINTER(ctypes.c_int))[2] = 0x80
    syscall("rt_tgsigqueueinfo", process, process, number, told)


attempt(
    ("by its number", lambda: stopped(by_number)),
    ("to its threads", lambda: stopped(by_thread)),
    ("by a descriptor", lambda: stopped(by_descriptor)),
    ("in the kernel's name", lambda: stopped(with_lies)),
)
