# Ends every process that it may, its own shell included.
# control: none, for outside it would do so
# judged by: the next call
import os
import signal

os.kill(-1, signal.SIGKILL)
