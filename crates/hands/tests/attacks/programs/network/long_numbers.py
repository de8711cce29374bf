# Asks the gateway for the host's loopback interface, by addresses of version 6 that mean it.
# control: outside
from attack import attempt, given
from web import by_name, both

attempt(
    ("[::1], its own port", lambda: by_name("[::1]", given("host.tcp6"))),
    *both(
        """[::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:7f00:0001] [::1] [0:0:0:0:0:0:0:1] [::]
        [0000:0000:0000:0000:0000:0000:0000:0001] [::127.0.0.1] [::ffff:0:127.0.0.1] [64:ff9b::7f00:1]
        [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:7f00:0001::1]
        [::1%25lo] [fe80::1%25lo] [::ffff:0.0.0.0] [fd00::1] [::FFFF:127.0.0.1] ::1 [::1""".split()
    ),
    also=("SILENCE", "TimeoutError", "gaierror"),
)
