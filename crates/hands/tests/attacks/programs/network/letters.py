# Asks the gateway for the host's loopback interface, by letters that are read as others.
# control: outside
from attack import attempt
from web import both

attempt(
    *both(
        [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "localhost..",
            "localhost.localdomain",
            "ip6-localhost",
            "sandbox",
            "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",
            "\uff11\uff12\uff17\uff0e\uff10\uff0e\uff10\uff0e\uff11",
            "127\u3002\u0030\u3002\u0030\u3002\u0031",
            "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
            "local\u00adhost",
            "loc\u200balhost",
            "xn--localhost-",
            "%6c%6f%63%61%6c%68%6f%73%74",
            "%31%32%37.0.0.1",
            "127.0.0.1\t",
            "127.0.0.1\0",
            "localhost\udcff",
        ]
    ),
    also=("SILENCE", "TimeoutError", "gaierror"),
)
