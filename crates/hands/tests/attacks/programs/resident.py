"""Sits where no attack may get to, with something to lose, and tells who came.

Started on the host, and in the sandbox next door. Says in one line of JSON where everything is; answers each line on
its input with the list of contacts since the last, and takes everything with it when the input ends.
"""

import ctypes
import json
import os
import socket
import sys
import threading

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]

TOKEN = os.environ["RESIDENT_TOKEN"].encode()
DIRECTORY = os.environ["RESIDENT_DIRECTORY"]
NAME = os.environ["RESIDENT_NAME"]

KEYS = {"x86_64": (248, 250)}.get(os.uname().machine, (217, 219))
HANDLES = {"x86_64": 303}.get(os.uname().machine, 264)

contacts = []


def answer(listener, what):
    while True:
        connection, _ = listener.accept()
        connection.settimeout(1)
        try:
            heard = connection.recv(200)
            contacts.append("%s: %r" % (what, heard[:100]))
            connection.sendall(b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n" + TOKEN + b"\n")
        except OSError as error:
            contacts.append("%s: %s" % (what, error))
        connection.close()


def echo(listener):
    while True:
        heard, sender = listener.recvfrom(200)
        contacts.append("udp: %r" % heard[:100])
        listener.sendto(TOKEN, sender)


def background(target, *arguments):
    threading.Thread(target=target, args=arguments, daemon=True).start()


def serve(family, address, what):
    listener = socket.socket(family)
    try:
        listener.bind(address)
    except OSError:
        return None
    listener.listen(64)
    background(answer, listener, what)
    return listener


def port(listener):
    return listener.getsockname()[1] if listener else None


def segment():
    """Shared memory of System V. Marked to go with its last user, which is this process."""
    number = libc.shmget(0, 4096, 0o1666)
    if number < 0:
        return None
    at = libc.shmat(number, None, 0)
    libc.shmctl(number, 0, None)
    ctypes.memmove(at, TOKEN, len(TOKEN))
    return number


def queue():
    """A message queue of POSIX, by name."""
    name = "/" + NAME
    librt = ctypes.CDLL("librt.so.1", use_errno=True)
    number = librt.mq_open(name.encode(), 0o102, 0o666, None)
    if number < 0:
        return None
    librt.mq_send(number, TOKEN, len(TOKEN), 0)
    return name


def key():
    """A key of this user, gone after some minutes even if this process is killed."""
    number = libc.syscall(KEYS[0], b"user", NAME.encode(), TOKEN, len(TOKEN), ctypes.c_long(-4))
    if number < 0:
        return None
    libc.syscall(KEYS[1], 15, ctypes.c_long(number), 300)
    return number


def handle(path):
    """The name that the file has within its file system: enough to open it, past every directory above it."""

    class Handle(ctypes.Structure):
        _fields_ = [("size", ctypes.c_uint), ("type", ctypes.c_int), ("bytes", ctypes.c_ubyte * 128)]

    made, mount = Handle(size=128), ctypes.c_int()
    result = libc.syscall(HANDLES, -100, path.encode(), ctypes.byref(made), ctypes.byref(mount), 0)
    return None if result < 0 else {"type": made.type, "bytes": bytes(made.bytes[: made.size]).hex()}


def plant():
    path = os.path.join(DIRECTORY, NAME + ".secret")
    with open(path, "wb") as file:
        file.write(TOKEN)
    os.chmod(path, 0o644)
    shared = "/dev/shm/" + NAME
    with open(shared, "wb") as file:
        file.write(TOKEN)
    # Kept open, and kept in memory: there for whoever can look into this process.
    KEPT.append(open(path, "rb"))
    memory = ctypes.create_string_buffer(TOKEN)
    KEPT.append(memory)
    master, terminal = os.openpty()
    way = os.path.join(DIRECTORY, NAME + ".sock")
    local = serve(socket.AF_UNIX, way, "unix socket")
    os.chmod(way, 0o777)
    abstract = serve(socket.AF_UNIX, "\0" + NAME, "abstract socket")
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    background(echo, datagrams)
    KEPT.extend([local, abstract, datagrams, master])
    return {
        "pid": os.getpid(),
        "name": NAME,
        "address": ctypes.addressof(memory),
        "file": path,
        "handle": handle(path),
        "shared_file": shared,
        "unix": way,
        "abstract": NAME,
        "tcp": port(serve(socket.AF_INET, ("127.0.0.1", 0), "tcp")),
        "tcp6": port(serve(socket.AF_INET6, ("::1", 0), "tcp6")),
        "udp": port(datagrams),
        "segment": segment(),
        "queue": queue(),
        "key": key(),
        "terminal": os.ttyname(terminal),
    }


KEPT = []
planted = plant()
print(json.dumps(planted), flush=True)
for line in sys.stdin:
    found, contacts[:] = list(contacts), []
    print(json.dumps(found), flush=True)
for path in (planted["shared_file"], planted["unix"], planted["file"]):
    if os.path.exists(path):
        os.unlink(path)
if planted["queue"]:
    ctypes.CDLL("librt.so.1").mq_unlink(planted["queue"].encode())
