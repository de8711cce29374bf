# Exchanges two paths in one step, over and over.
import sys

from attack import AT_FDCWD, syscall

RENAME_EXCHANGE = 2
one, other = (path.encode() for path in sys.argv[1:])
syscall("renameat2", AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE)
print("READY", flush=True)
while True:
    syscall("renameat2", AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE)
