# Asks the gateway for the host's loopback interface, by numbers in every notation.
# control: outside
from attack import attempt
from web import both

attempt(
    *both(
        """127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7f.0x0.0x0.0x1 0177.0.0.1 00000177.0.0.1 017700000001 0
        0.0.0.0 127.000.000.001 127.0.0.1. 0x7f.1 127.255.255.254 4294967295 6425673729 0x17f000001 127.0.0.01
        127.0.0.1%00 127.0.0.1%20 127.0.0.1%2e""".split()
    ),
    also=("SILENCE", "TimeoutError", "gaierror"),
)
