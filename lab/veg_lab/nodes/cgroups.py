"""The cgroups of a lab: whatever runs on a node is in its node's, so all of it can be found, frozen and ended.

Version 1 has a tree for each controller, version 2 one tree for all. The daemons of a node are in the tree that freezes
only: in one that divides the CPU they could not have real-time scheduling.
"""

import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from veg_lab import process
from veg_lab.errors import LabError

ROOT = Path("/sys/fs/cgroup")
# What kubelet and runc ask for.
_NEEDED = ("cpu", "cpuset", "memory", "pids")
_DAEMONS = "daemons"
_SHARES_MAX, _WEIGHT_MAX = "262144", "10000"
_FREEZE_WITHIN_S = 10.0


@cache
def unified() -> bool:
    """Whether this machine has version 2 alone."""
    return (ROOT / "cgroup.controllers").exists()


@cache
def _trees() -> dict[Path, tuple[str, ...]]:
    """Where the trees are mounted, and the controllers of each."""
    if unified():
        return {ROOT: tuple((ROOT / "cgroup.controllers").read_text().split())}
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return {Path(words[1]): tuple(words[3].split(",")) for words in mounts if words[2] == "cgroup"}


def _freezers() -> Path:
    """The tree in which all processes of all nodes are."""
    return ROOT if unified() else ROOT / "freezer"


def missing() -> str:
    """What a node needs of the machine's cgroups and does not have, in one line; empty when it has all."""
    have = {controller for controllers in _trees().values() for controller in controllers}
    wanted = _NEEDED if unified() else (*_NEEDED, "devices", "freezer")
    lacking = [name for name in wanted if name not in have]
    return f"no container can run here: the machine has no cgroup controller {', '.join(lacking)}" if lacking else ""


def ensure(path: str) -> None:
    """Make the cgroup `path` and those above it in every tree, before all others when the CPU is divided."""
    parts = Path(path).parts
    for tree in _trees():
        for depth in range(1, len(parts) + 1):
            _ensure_one(tree.joinpath(*parts[:depth]))
    (_freezers() / path / _DAEMONS).mkdir(exist_ok=True)


def _ensure_one(place: Path) -> None:
    if unified():
        enabled = (place.parent / "cgroup.subtree_control").read_text().split()
        if absent := [f"+{name}" for name in _NEEDED if name not in enabled]:
            (place.parent / "cgroup.subtree_control").write_text(" ".join(absent))
    place.mkdir(exist_ok=True)
    for name in ("cpuset.cpus", "cpuset.mems"):  # a new one of version 1 has none, and takes no process
        if not unified() and (place / name).exists() and not (place / name).read_text().strip():
            (place / name).write_text((place.parent / name).read_text())
    for name, most in (("cpu.shares", _SHARES_MAX), ("cpu.weight", _WEIGHT_MAX)):
        if (place / name).exists():
            (place / name).write_text(most)


def join(path: str) -> list[str]:
    """Words before a command that put it into the daemons' cgroup of a node. The command keeps the process id."""
    return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(_freezers() / path / _DAEMONS / "cgroup.procs")]


def processes(path: str) -> set[int]:
    """All processes in the cgroup and below."""
    return {pid for directory in _all(_freezers() / path) for pid in _listed(directory)}


def daemons(path: str) -> set[int]:
    """The daemons of all nodes below the cgroup."""
    places = [directory for directory in _all(_freezers() / path) if directory.name == _DAEMONS]
    return {pid for directory in places for pid in _listed(directory)}


def _listed(directory: Path) -> Iterable[int]:
    with suppress(OSError):  # removed at this moment
        return [int(word) for word in (directory / "cgroup.procs").read_text().split()]
    return []


def _all(top: Path) -> Iterator[Path]:
    """The cgroup and all below it, the deepest first."""
    if not top.is_dir():
        return
    with suppress(FileNotFoundError):
        for below in top.iterdir():
            if below.is_dir():
                yield from _all(below)
    yield top


def freeze(path: str) -> None:
    """Let no process in the cgroup or below run, and return when none does.

    Raises:
        LabError: the kernel did not do it in time.
    """
    _set_frozen(path, frozen=True)
    deadline = time.monotonic() + _FREEZE_WITHIN_S
    while not _is_frozen(path):
        if time.monotonic() > deadline:
            raise LabError(f"cgroup {path} was not frozen within {_FREEZE_WITHIN_S:.0f} s")
        time.sleep(0.005)


def thaw(path: str) -> None:
    """Thaw whatever is frozen in the cgroup and below: a frozen process does not even end."""
    for directory in _all(_freezers() / path):
        with suppress(OSError):  # removed at this moment
            _set_frozen(str(directory.relative_to(_freezers())), frozen=False)


def _set_frozen(path: str, *, frozen: bool) -> None:
    name, words = ("cgroup.freeze", "01") if unified() else ("freezer.state", ("THAWED", "FROZEN"))
    (_freezers() / path / name).write_text(words[frozen])


def _is_frozen(path: str) -> bool:
    if unified():
        return "frozen 1" in (_freezers() / path / "cgroup.events").read_text()
    return (_freezers() / path / "freezer.state").read_text().strip() == "FROZEN"


def end(path: str, *, spared: Iterable[int] = (), within_s: float = 15.0) -> None:
    """Kill every process in the cgroup, and remove it from all trees, and those above that nobody uses any more.

    Raises:
        LabError: a process does not end.
    """
    thaw(path)
    deadline = time.monotonic() + within_s
    while left := processes(path) - set(spared):
        if time.monotonic() > deadline:
            raise LabError(f"these processes do not end, not even by SIGKILL: {sorted(left)}")
        for pid in left:
            process.send(pid, signal.SIGKILL)
        time.sleep(0.02)
    # Where version 2 is mounted beside version 1, runc makes them there, too.
    for tree in (*_trees(), ROOT / "unified"):
        for directory in _all(tree / path):
            _remove(directory)
        for above in list(Path(path).parents)[:-1]:
            with suppress(OSError):  # another lab is in it
                (tree / above).rmdir()


def _remove(directory: Path) -> None:
    """A process that ended a moment ago may still be in it."""
    for _ in range(200):
        try:
            directory.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise LabError(f"cgroup {directory} cannot be removed: {sorted(_listed(directory))} are in it")
