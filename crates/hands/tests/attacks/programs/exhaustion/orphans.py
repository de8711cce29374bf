# Leaves processes behind faster than they are looked after.
# control: none, for outside the host looks after them
import os

from attack import held

left = 0
for _ in range(800):
    try:
        child = os.fork()
    except OSError:
        continue
    if child == 0:
        if os.fork() == 0:
            os.setsid()
        os._exit(0)
    os.waitpid(child, 0)
    left += 1
held("%d left" % left)
