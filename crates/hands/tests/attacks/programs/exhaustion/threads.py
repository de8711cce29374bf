# Makes as many threads as it may, which sleep.
# kind: hoard
# control: inside
import threading
import time

from attack import hoard


def hold():
    count = 0
    threading.stack_size(65536)
    while True:
        try:
            threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
        except RuntimeError:
            return count
        count += 1


def use():
    for _ in range(8):
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()


hoard(hold, use)
