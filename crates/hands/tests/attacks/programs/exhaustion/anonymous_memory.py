# Takes memory as programs usually do.
# kind: glut
# control: outside
from attack import KEPT, glut

UNIT = 4 << 20
glut(lambda number: KEPT.append(b"x" * UNIT), UNIT)
