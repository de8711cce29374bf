# Grows a file among the outputs, empties it, removes it, and makes it again.
import os

path = "/mnt/session/outputs/moving"
while True:
    with open(path, "wb", buffering=0) as file:
        for _ in range(20):
            file.write(b"x" * 977)
        file.truncate(5)
    os.unlink(path)
