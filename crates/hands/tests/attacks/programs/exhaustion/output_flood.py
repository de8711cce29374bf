# Prints far more than anybody reads.
# control: none, for outside nobody collects it
import sys

from attack import held

for _ in range(100):
    sys.stdout.write("x" * (1 << 20))
sys.stdout.write("\n")
held("printed")
