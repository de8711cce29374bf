# Looks for the machine's own tree of devices and settings.
# control: outside
import os

from attack import attempt

PLACES = """/sys/class /sys/block /sys/devices /sys/kernel /sys/fs /sys/module /sys/power /sys/firmware /sys/bus
    /sys/hypervisor""".split()

attempt(*[(path, lambda path=path: os.listdir(path)) for path in PLACES])
