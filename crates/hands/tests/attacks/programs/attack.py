"""What every attack shares: where the canaries are, how a step is tried, and how the verdict is said.

An attack is a list of steps. Each runs in a process of its own. It is refused if it gets nothing, or ends in an error
or by a signal of those named below; whatever else comes of it is what it got, and the sandbox is broken. An error that
is not expected breaks it too: the kernel that answers EINVAL has looked at what it should have refused to look at, and
a program with a mistake in it must never pass for a refusal.

The same program runs outside, with nothing in its way, as the control: there it must reach its canary.
"""

import ctypes
import errno
import json
import os
import platform
import select
import signal
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))

with open(os.path.join(HERE, "given.json")) as file:
    GIVEN = json.load(file)

CONTROL = GIVEN["control"]

# Every token begins with it. No token is ever given to a program.
MARK = b"CANARY-"

REFUSALS = frozenset(
    """EPERM EACCES ENOSYS EROFS ENOENT ENOTDIR ELOOP ESRCH EXDEV ENXIO ENODEV ECONNREFUSED ENETUNREACH EHOSTUNREACH
    EAFNOSUPPORT EPROTONOSUPPORT ESOCKTNOSUPPORT SIGSYS nothing""".split()
    + GIVEN.get("refusals", [])
)

X86 = platform.machine() == "x86_64"

# By name: on x86-64, and in the table that all newer architectures share.
NUMBERS = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "capset": (126, 91),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "getpid": (39, 172),
    "init_module": (175, 105),
    "io_uring_setup": (425, 425),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "listmount": (458, 458),
    "lookup_dcookie": (212, 18),
    "migrate_pages": (256, 238),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "openat2": (437, 437),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "renameat2": (316, 276),
    "request_key": (249, 218),
    "rt_tgsigqueueinfo": (297, 240),
    "sched_setscheduler": (144, 119),
    "seccomp": (317, 277),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "statmount": (457, 457),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
NAMESPACES = {
    "time": CLONE_NEWTIME,
    "mnt": CLONE_NEWNS,
    "cgroup": CLONE_NEWCGROUP,
    "uts": CLONE_NEWUTS,
    "ipc": CLONE_NEWIPC,
    "user": CLONE_NEWUSER,
    "pid": CLONE_NEWPID,
    "net": CLONE_NEWNET,
}

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1, 32, 4096, 8192, 16384, 1 << 18

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def given(name):
    """What the harness tells of the canaries, by a name with dots."""
    value = GIVEN
    for part in name.split("."):
        value = value[part]
    return value


def check(result):
    """The result of a call into libc; an error if it is one."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def syscall(name, *arguments):
    """A system call by its name, or by its number."""
    number = NUMBERS[name][0 if X86 else 1] if isinstance(name, str) else name
    converted = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    ctypes.set_errno(0)
    return check(libc.syscall(ctypes.c_long(number), *converted))


def read(path, size=1 << 16):
    with open(path, "rb", buffering=0) as file:
        return file.read(size)


def canary(data):
    """The token in the data, if there is one."""
    data = data.encode() if isinstance(data, str) else data
    at = (data or b"").find(MARK)
    return None if at < 0 else data[at : at + 60].decode(errors="replace")


def write(path, data, flags=os.O_WRONLY):
    """Writes to a file that is there."""
    descriptor = os.open(path, flags)
    try:
        return "wrote %d bytes to %s" % (os.write(descriptor, data), path)
    finally:
        os.close(descriptor)


def attempt(*steps, also=(), patience=4.0):
    """Tries each step, a name and a function, and ends the program with the verdict.

    `also` names further errors and signals that are refusals here. SILENCE is among them where no answer in `patience`
    seconds is one.
    """
    refused = {}
    for name, step in steps:
        kind, what = in_a_process(step, patience)
        if kind == "got":
            broke("%s: %s" % (name, what))
        if kind == "failed":
            broke("%s: the program itself failed: %s" % (name, what))
        if kind == "refused" and what not in REFUSALS and what not in also:
            broke("%s: answered with %s, which is no refusal" % (name, what))
        refused.setdefault(what, []).append(name)
    if not refused:
        held("there is nothing here to try it on")
    held("; ".join("%s: %s" % (what, ", ".join(names)) for what, names in refused.items()))


def in_a_process(step, patience):
    """What a step comes to: (got, what), (refused, why), or (failed, its mistake)."""
    ear, mouth = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(ear)
        # A session of its own, whose processes are ended together, and without a terminal.
        os.setsid()
        os.write(mouth, json.dumps(outcome(step)).encode())
        os._exit(0)
    os.close(mouth)
    said = listen(ear, patience)
    os.close(ear)
    for target in (-child, child):
        try:
            os.kill(target, signal.SIGKILL)
        except OSError:
            pass
    _, status = os.waitpid(child, 0)
    if said is None:
        return "refused", "SILENCE"
    if said:
        return tuple(json.loads(said))
    if os.WIFSIGNALED(status):
        return "refused", signal.Signals(os.WTERMSIG(status)).name
    return "failed", "it ended without a word"


def listen(ear, patience):
    """Everything up to the end of the pipe; nothing that is a word if that does not come."""
    deadline = time.monotonic() + patience
    said = b""
    while True:
        ready, _, _ = select.select([ear], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return None
        piece = os.read(ear, 65536)
        # What a step leaves running may hold the pipe open: a whole answer is enough.
        if not piece or (said + piece).endswith(b"]"):
            return said + piece
        said += piece


def outcome(step):
    try:
        result = step()
    except OSError as error:
        # Of a host's name that nobody knows, the resolver speaks in numbers of its own.
        return "refused", errno.errorcode.get(error.errno, type(error).__name__)
    except BaseException:
        return "failed", traceback.format_exc(limit=-2).replace("\n", " | ")[-400:]
    nothing = result is None or result is False or (hasattr(result, "__len__") and len(result) == 0)
    return ("refused", "nothing") if nothing else ("got", str(result)[:200])


def held(how):
    say("HELD", how)


def broke(what):
    say("BROKE", what)


def say(verdict, words):
    plain = " ".join(words.split()).encode("ascii", "backslashreplace").decode()
    print(verdict, plain[:600], flush=True)
    sys.exit(0)


def daemon():
    """The first process of the sandbox. Outside, a child that has no protection and the same things to hide."""
    if not CONTROL:
        return 1
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        # Ends with the program, however that ends; and lets all trace it, where a system asks for that to be said.
        libc.prctl(1, signal.SIGKILL)
        libc.prctl(0x59616D61, ctypes.c_ulong(-1 & (1 << 64) - 1))
        os.write(tell, b"x")
        while True:
            time.sleep(60)
    os.read(ready, 1)
    return child


# Of the step that is under way, in the process that hoards.
KEPT = []


def hoard(hold, use):
    """Takes all there is of something, and keeps it, when called with `hold`; with `use`, asks for a little of it.

    `hold` returns what it has. `use` raises an error if there is nothing left.
    """
    if sys.argv[1:] == ["use"]:
        try:
            use()
        except (OSError, MemoryError, RuntimeError) as error:
            print("UNUSABLE", " ".join(str(error).split()), flush=True)
        else:
            print("USABLE", flush=True)
        return
    print("HOLDING", hold(), flush=True)
    time.sleep(20)


def glut(grow, unit, holds=lambda: True):
    """Takes memory in pieces of `unit` bytes, past what the sandbox may have, and ends with the verdict.

    What holds more than the sandbox's memory and disk together, in whatever form, is outside of its limits. `holds` is
    asked in the end whether all of it is still there.
    """
    allowed = given("allowance")
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ear)
        try:
            # The kernel should choose this process, not the one that tells of it.
            write("/proc/self/oom_score_adj", b"1000")
            for number in range(allowed * 5 // 4 // unit):
                grow(number)
                os.write(mouth, b"x")
            # Where only a watchdog looks after it, what is over its limit for a moment is not yet outside of it.
            time.sleep(1)
            if holds():
                os.write(mouth, b"y")
        except (OSError, MemoryError):
            pass
        os._exit(0)
    os.close(mouth)
    pieces = 0
    while True:
        told = os.read(ear, 65536)
        if not told:
            break
        pieces += told.count(b"x")
        if b"y" in told:
            broke("it holds %d MiB where %d MiB are allowed" % (pieces * unit >> 20, allowed >> 20))
    _, status = os.waitpid(child, 0)
    how = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "an error"
    held("%s after %d MiB" % (how, pieces * unit >> 20))


def isolate():
    """Keeps a control from changing the machine that it runs on: mounts and names are its own."""
    try:
        syscall("unshare", CLONE_NEWNS | CLONE_NEWUTS)
        syscall("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    except OSError:
        # An ordinary user, who can change neither.
        pass


if CONTROL and os.geteuid() == 0:
    isolate()
