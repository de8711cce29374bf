# Opens the terminals of the sandbox next door.
# control: neighbour
import os

from attack import attempt, given


def terminal(path):
    return "%s is there, descriptor %d" % (path, os.open(path, os.O_RDWR | os.O_NOCTTY))


attempt(
    ("its terminal", lambda: terminal(given("neighbour.terminal"))),
    *[("terminal %d" % number, lambda path="/dev/pts/%d" % number: terminal(path)) for number in range(8)],
)
