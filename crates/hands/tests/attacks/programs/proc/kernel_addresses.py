# Learns where the kernel lies in memory, which an attack on the kernel needs to know first.
# control: outside if it can
from attack import attempt, read


def symbols():
    with open("/proc/kallsyms") as file:
        for _, line in zip(range(2000), file):
            if int(line.split()[0], 16):
                return line
    return None


def modules():
    with open("/proc/modules") as file:
        return [line for line in file if int(line.split()[-1].split()[0], 16)][:1]


def memory_map():
    with open("/proc/iomem") as file:
        return [line for line in file if int(line.split("-")[0], 16)][:1]


def sections():
    return read("/sys/kernel/notes", 64) and read("/sys/module/kernel/sections/.text", 64)


def stack():
    return b"0x" in read("/proc/self/stack") and "addresses"


attempt(
    ("symbols", symbols),
    ("modules", modules),
    ("the map of memory", memory_map),
    ("sections", sections),
    ("a stack", stack),
)
