# Has the kernel work for it through rings in memory, past any filter of system calls.
# control: outside if it can
import ctypes

from attack import attempt, syscall

parameters = ctypes.create_string_buffer(120)
ENTER, REGISTER = 426, 427
attempt(
    ("a ring", lambda: "descriptor %d" % syscall("io_uring_setup", 4, parameters)),
    ("a smaller ring", lambda: "descriptor %d" % syscall("io_uring_setup", 1, parameters)),
    ("one that there is not, entered", lambda: syscall(ENTER, 0, 0, 0, 0, None, 0)),
    ("one that there is not, registered", lambda: syscall(REGISTER, 0, 0, None, 0)),
)
