# Unpacks archives whose members have names of the host: absolute, climbing, through a link, under a link.
# control: outside
import io
import os
import subprocess
import tarfile
import zipfile

from attack import CONTROL, attempt, given

target = given("scratch") if CONTROL else given("host.file")
work = given("scratch") + ".archives"
os.makedirs(work, exist_ok=True)


def member(name, kind=tarfile.REGTYPE, link=""):
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, link, 7 if kind == tarfile.REGTYPE else 0
    return found


def packed(*members):
    path = os.path.join(work, "archive.tar")
    with tarfile.open(path, "w") as archive:
        for one in members:
            archive.addfile(one, io.BytesIO(b"changed"))
    return path


def before():
    """The same file, not one of this name that the sandbox has of its own."""
    return os.stat(target).st_ino


def reached(inode):
    with open(target, "rb") as file:
        return os.stat(target).st_ino == inode and file.read() == b"changed" and "the host's file was written over"


def unpacked(*members):
    inode = before()
    subprocess.run(["tar", "-xPf", packed(*members), "--overwrite", "-C", work], check=False, capture_output=True)
    return reached(inode)


def zipped():
    inode = before()
    path = os.path.join(work, "archive.zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../" * 40 + target[1:], b"changed")
    with zipfile.ZipFile(path) as archive:
        for one in archive.namelist():
            # As a careless program would.
            with open(os.path.join(work, one), "wb") as file:
                file.write(archive.read(one))
    return reached(inode)


attempt(
    ("an absolute name", lambda: unpacked(member(target))),
    ("a climbing name", lambda: unpacked(member("../" * 40 + target[1:]))),
    (
        "a name through a link",
        lambda: unpacked(
            member("way", tarfile.SYMTYPE, os.path.dirname(target)), member("way/" + os.path.basename(target))
        ),
    ),
    ("a hard link", lambda: unpacked(member("hard", tarfile.LNKTYPE, target), member("hard"))),
    ("a careless unzip", zipped),
    patience=10,
)
