"""The images of the lab's nodes as the root directory of a containerd, in the cache: a node starts with a copy of it.

Unpacking two images takes seconds and as much disk as they are large, on each node. A copy takes a fraction of a second
and no disk: what containerd never writes again (blobs, and files of snapshots, which are lower layers to every
container) is linked, and only the rest is copied. A store is never changed once it has its name. The next one is made
from a copy of the one before, so a change of our own code costs its small layer.
"""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath

from veg_lab import builds
from veg_lab.errors import LabError
from veg_lab.paths import REPOSITORY, Lab
from veg_lab.progress import step

IMAGES = ("gw-agent", "lab-client")
NAMESPACE = "k8s.io"
# Other names of images: a test that rolls a gateway's pods wants another image that works.
ALIASES = {"localhost/veg/gw-agent:other": "gw-agent"}
_SCRIPT = REPOSITORY / "scripts" / "images"
# With the first the runtime interface takes an image for its own; with the second it never collects it.
_LABELS = ("io.cri-containerd.image=managed", "io.cri-containerd.pinned=pinned")
# Directories all of whose files are written once; in the second, below `<number>/fs`.
_BLOBS = PurePath("io.containerd.content.v1.content/blobs")
_SNAPSHOTS = PurePath("io.containerd.snapshotter.v1.overlayfs/snapshots")
_SNAPSHOT_DEPTH = len(_SNAPSHOTS.parts) + 1
# Another lab may be about to copy the store that was the newest one a moment ago.
_UNUSED_S = 24 * 3600.0
_CONFIGURATION = """\
version = 4
root = "{root}"
state = "{state}"
disabled_plugins = [
  "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri",
  "io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri",
]

[plugins."io.containerd.server.v1.grpc"]
address = "{socket}"

[plugins."io.containerd.server.v1.ttrpc"]
address = "{socket}.ttrpc"
"""
_START_WITHIN_S = 30.0
_STOP_WITHIN_S = 10.0
_POLL_S = 0.02


def ensure(lab: Lab, *, keep: Sequence[int] = ()) -> Path:
    """Build the images and the store of them, as far as they are not there. The caller holds the cache's lock.

    A build keeps the descriptors `keep` open, as that of the lock.
    """
    builds.run(lab, [str(_SCRIPT), *IMAGES], {"VEG_CACHE": str(lab.cache)}, keep=keep)
    store = _directory(lab) / name(_runtime(lab), {image: _stamp(lab, image) for image in IMAGES})
    if not store.is_dir():
        with step(f"the images of the nodes are unpacked: {store}"):
            _make(lab, store)
    os.utime(store)
    for old in unused(_last_uses(lab), store.name, time.time()):
        # Under its own name it is whole or not there.
        shutil.rmtree((_directory(lab) / old).rename(_directory(lab) / f".{old}"))
    return store


def reference(image: str) -> str:
    """The name by which pods know an image."""
    return f"localhost/veg/{image}:dev"


def copy(seed: Path, target: Path) -> None:
    """Make `target`, which must not be there, a containerd root of its own with all that the store has."""
    scratch = target.with_name(f".{target.name}.new")
    _remove(scratch)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.utime(seed)
    if seed.stat().st_dev == target.parent.stat().st_dev:
        _cp("--link", seed, scratch)
        for path in written_in_place(scratch):
            _unlink_from_others(path)
    else:
        _cp("--reflink=auto", seed, scratch)
    scratch.rename(target)


def name(runtime: str, stamps: Mapping[str, str]) -> str:
    """What a store of these images, by the stamps of their builds, is called. Its first part is that of the runtime."""
    lines = "".join(f"{image} {stamp}\n" for image, stamp in sorted((dict(stamps) | ALIASES).items()))
    return f"{_digest(runtime)[:8]}-{_digest(lines)[:16]}"


def is_shared(relative: PurePath) -> bool:
    """Whether a file of a root directory is written once, so that all copies may have one and the same."""
    if relative.is_relative_to(_BLOBS):
        return True
    return relative.is_relative_to(_SNAPSHOTS) and relative.parts[_SNAPSHOT_DEPTH : _SNAPSHOT_DEPTH + 1] == ("fs",)


def written_in_place(root: Path) -> Iterator[Path]:
    """The files of a root directory of which each copy needs its own: the databases, above all."""
    for parent, directories, files in os.walk(root):
        here = PurePath(parent).relative_to(root)
        directories[:] = [entry for entry in directories if not is_shared(here / entry)]
        yield from (Path(parent, file) for file in files if not is_shared(here / file))


def unused(last_uses: Mapping[str, float], current: str, now: float) -> list[str]:
    """The stores that may go: all but this one, when nobody has made a copy of them for a day."""
    return sorted(store for store, used in last_uses.items() if store != current and now - used > _UNUSED_S)


def base(last_uses: Mapping[str, float], wanted: str) -> str | None:
    """The store to make this one from: the last one that the same runtime has written, if there is any."""
    runtime = wanted.partition("-")[0]
    alike = [store for store in last_uses if store.partition("-")[0] == runtime]
    return max(alike, key=lambda store: last_uses[store], default=None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _directory(lab: Lab) -> Path:
    return lab.cache / "image-store"


def _runtime(lab: Lab) -> str:
    return subprocess.run(
        [lab.kubernetes / "containerd", "--version"], capture_output=True, text=True, check=True
    ).stdout


def _stamp(lab: Lab, image: str) -> str:
    return (lab.cache / "images" / f"{image}.stamp").read_text().strip()


def _last_uses(lab: Lab) -> dict[str, float]:
    stores = (path for path in _directory(lab).iterdir() if path.is_dir() and not path.name.startswith("."))
    return {path.name: path.stat().st_mtime for path in stores}


def _make(lab: Lab, store: Path) -> None:
    scratch = store.with_name(".new")
    _remove(scratch)
    store.parent.mkdir(exist_ok=True)
    before = base(_last_uses(lab), store.name)
    if before is not None:
        copy(store.with_name(before), scratch)
    with _containerd(lab, scratch) as ctr:
        for image in IMAGES:
            labels = [word for label in _LABELS for word in ("--label", label)]
            ctr("images", "import", "--snapshotter", "overlayfs", *labels, str(lab.cache / "images" / f"{image}.tar"))
        for alias, image in ALIASES.items():
            ctr("images", "tag", "--force", reference(image), alias)
            ctr("images", "label", alias, *_LABELS)
        # The end of a lease collects what only the store before needed: not at some time, but now.
        ctr("leases", "create", "--id", "collect")
        ctr("leases", "delete", "--sync", "collect")
    # Who this containerd was: each node's makes a name of its own.
    (scratch / "io.containerd.grpc.v1.introspection" / "uuid").unlink(missing_ok=True)
    scratch.rename(store)


class _Client:
    """`ctr` on one containerd."""

    def __init__(self, program: Path, address: Path, log: Path) -> None:
        self._argv = (str(program), "--address", str(address), "--namespace", NAMESPACE)
        self._log = log

    def __call__(self, *words: str) -> None:
        with self._log.open("ab") as sink:
            done = subprocess.run([*self._argv, *words], stdout=sink, stderr=sink, check=False)
        if done.returncode:
            raise LabError(f"ctr {' '.join(words)} failed; the end of {self._log}:\n{_tail(self._log)}")


@contextmanager
def _containerd(lab: Lab, root: Path) -> Iterator[_Client]:
    """A private containerd on this root directory, and a client of it. When it has ended, the root is whole."""
    state, log = lab.run / "image-store", lab.cache / "image-store.log"
    address, configuration = state / "containerd.sock", state / "config.toml"
    _remove(state)
    state.mkdir(parents=True)
    configuration.write_text(_CONFIGURATION.format(root=root, state=state / "state", socket=address))
    # What it mounts goes with it, and it goes with us, whatever ends us.
    argv = ["unshare", "--mount", "setpriv", "--pdeathsig", "KILL", str(lab.kubernetes / "containerd")]
    log.write_bytes(b"")
    with log.open("ab") as sink:
        server = subprocess.Popen(
            [*argv, "--config", str(configuration)], stdin=subprocess.DEVNULL, stdout=sink, stderr=sink
        )
    try:
        _wait_for(server, address, log)
        yield _Client(lab.kubernetes / "ctr", address, log)
        server.send_signal(signal.SIGTERM)
        server.wait(_STOP_WITHIN_S)
    except subprocess.TimeoutExpired as error:
        raise LabError(f"containerd does not end; the end of {log}:\n{_tail(log)}") from error
    finally:
        server.kill()
        server.wait()
        _remove(state)


def _wait_for(server: "subprocess.Popen[bytes]", address: Path, log: Path) -> None:
    deadline = time.monotonic() + _START_WITHIN_S
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as client:
            if client.connect_ex(str(address)) == 0:
                return
        time.sleep(_POLL_S)
    raise LabError(f"containerd does not start; the end of {log}:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(f"  | {line[:400]}" for line in log.read_text(errors="replace").splitlines()[-15:])


def _cp(how: str, source: Path, target: Path) -> None:
    done = subprocess.run(["cp", "--archive", how, source, target], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{source} could not be copied to {target}: {done.stderr.strip()}")


def _unlink_from_others(path: Path) -> None:
    own = path.with_name(f"{path.name}.own")
    shutil.copy2(path, own, follow_symlinks=False)
    own.replace(path)


def _remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)
