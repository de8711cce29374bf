# Looks whether the filter, and the promise of no new privileges, hold in every process and thread.
# control: outside if it can
import os
import threading

from attack import attempt


def unfiltered(path):
    with open(path) as status:
        fields = dict(line.split(":\t", 1) for line in status if ":\t" in line)
    # Of the kernel's own making in the sandbox: one that is loaded, and refuses.
    return (fields["Seccomp"].strip() != "2" or fields["NoNewPrivs"].strip() != "1") and "%s has none" % path


def everywhere():
    for process in os.listdir("/proc"):
        if not process.isdigit():
            continue
        try:
            threads = os.listdir("/proc/%s/task" % process)
            found = [unfiltered("/proc/%s/task/%s/status" % (process, thread)) for thread in threads]
        except OSError:
            continue
        if any(found):
            return next(filter(None, found))
    return None


def in_a_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(unfiltered("/proc/thread-self/status")))
    thread.start()
    thread.join()
    return found[0]


attempt(("this process", lambda: unfiltered("/proc/self/status")), ("a thread", in_a_thread), ("all", everywhere))
