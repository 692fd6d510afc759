"""Network namespaces: make, remove, enter, and find the processes in them."""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from veg_lab.errors import LabError

DIRECTORY = Path("/run/netns")
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def exists(name: str) -> bool:
    """Whether it can be entered. A file that is no mount is what an interrupted `ip netns add` leaves behind."""
    path = DIRECTORY / name
    return path.exists() and path.stat().st_dev != DIRECTORY.stat().st_dev


def names(lab: str) -> list[str]:
    """All namespaces of a lab, the half made ones too."""
    if not DIRECTORY.is_dir():
        return []
    return sorted(found.name for found in DIRECTORY.iterdir() if found.name == lab or found.name.startswith(f"{lab}."))


def ensure(name: str) -> None:
    """Make the namespace, with the loopback up."""
    if not exists(name):
        (DIRECTORY / name).unlink(missing_ok=True)
        run(["ip", "netns", "add", name])
    run([*enter(name), "ip", "link", "set", "lo", "up"])


def remove(name: str) -> None:
    """Remove the namespace and with it its interfaces."""
    if exists(name):
        run(["ip", "netns", "del", name])
    (DIRECTORY / name).unlink(missing_ok=True)


def release_directory() -> None:
    """Undo what the first `ip netns add` of a machine made, once no namespace is left: a mount on a directory."""
    if not DIRECTORY.is_dir() or any(DIRECTORY.iterdir()):
        return
    # Bound to itself, so only the list of mounts tells; the machine's own tools may have mounted it more than once.
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()].count(str(DIRECTORY))
    for _ in range(mounted):
        subprocess.run(["umount", str(DIRECTORY)], capture_output=True, check=False)
    with contextlib.suppress(OSError):  # another lab begins at this moment: the directory is its own now
        DIRECTORY.rmdir()


def enter(name: str) -> list[str]:
    """The words before a command that is to run in the namespace. The command keeps the process id."""
    return ["nsenter", f"--net={DIRECTORY / name}", "--"]


@contextmanager
def entered(name: str) -> Iterator[None]:
    """The calling thread (only it) is in the namespace; sockets made there stay there."""
    with Path("/proc/thread-self/ns/net").open("rb") as own, (DIRECTORY / name).open("rb") as target:
        _setns(target.fileno())
        try:
            yield
        finally:
            _setns(own.fileno())


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def processes(wanted: Iterable[str]) -> set[int]:
    """The ids of all processes in these namespaces."""
    inodes = set()
    for name in filter(exists, wanted):
        with contextlib.suppress(FileNotFoundError):  # removed at this moment
            inodes.add((DIRECTORY / name).stat().st_ino)
    found: set[int] = set()
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                if (directory / "ns" / "net").stat().st_ino in inodes:
                    found.add(int(directory.name))
            except OSError:  # it ended while we looked, or it is a zombie
                continue
    return found


def run_in(namespace: str, argv: Sequence[str], *, stdin: str | None = None) -> str:
    """As `run`, in the namespace: whatever may wait for a server runs there, so that `down` finds and ends it."""
    return run([*enter(namespace), *argv], stdin=stdin)


def run(argv: Sequence[str], *, stdin: str | None = None) -> str:
    """Run a short command and return its output; a failure carries what it said."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise LabError(f"{' '.join(argv)}: {said}")
    return done.stdout
