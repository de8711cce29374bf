# Reads the server's data directory: the database, the key of its API, what a vault would hold.
# control: outside
import os

from attack import attempt, canary, given, read

PLACES = [given("data") + "/" + name for name in ("stead.db", "api_key", "vault/credentials", "blobs/one")]


def listed():
    return os.listdir(given("data"))


steps = [(path, lambda path=path: canary(read(path))) for path in PLACES]
through = [("pid 1, " + path, lambda path=path: canary(read("/proc/1/root" + path))) for path in PLACES]
attempt(("the list", listed), *steps, *through)
