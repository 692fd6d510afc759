"""The store of unpacked images: how it is named, what its copies share, and when it goes."""

from pathlib import Path, PurePath

import pytest

from veg_lab import image_store

_STAMPS = {"gw-agent": "1111", "lab-client": "2222"}
_DAY_S = 24 * 3600.0
_OVERLAY = "io.containerd.snapshotter.v1.overlayfs"
_BLOB = "io.containerd.content.v1.content/blobs/sha256/0a"
_SHELL = f"{_OVERLAY}/snapshots/1/fs/bin/sh"
_DATABASES = ("io.containerd.metadata.v1.bolt/meta.db", f"{_OVERLAY}/metadata.db")


def test_a_name_says_the_runtime_and_the_images() -> None:
    name = image_store.name("containerd 2.4", _STAMPS)
    assert name == image_store.name("containerd 2.4", dict(reversed(_STAMPS.items())))
    other_image = image_store.name("containerd 2.4", _STAMPS | {"gw-agent": "3333"})
    assert other_image != name
    assert other_image.partition("-")[0] == name.partition("-")[0]
    other_runtime = image_store.name("containerd 2.5", _STAMPS)
    assert other_runtime.partition("-")[0] != name.partition("-")[0]
    assert other_runtime.partition("-")[2] == name.partition("-")[2]


@pytest.mark.parametrize(
    ("path", "shared"),
    [
        (_BLOB, True),
        (_SHELL, True),
        (f"{_OVERLAY}/snapshots/12/fs", True),
        (f"{_OVERLAY}/snapshots/12/work/fs", False),
        (f"{_OVERLAY}/snapshots/fs", False),
        (f"{_OVERLAY}/metadata.db", False),
        ("io.containerd.content.v1.content/ingest/0a/data", False),
        ("io.containerd.metadata.v1.bolt/meta.db", False),
        ("io.containerd.snapshotter.v1.native/snapshots/1/fs/bin/sh", False),
    ],
)
def test_only_what_is_never_written_again_is_shared(path: str, shared: bool) -> None:
    assert image_store.is_shared(PurePath(path)) is shared


def _seed(root: Path) -> Path:
    seed = root / "seed"
    for name in (_BLOB, _SHELL, *_DATABASES):
        (seed / name).parent.mkdir(parents=True, exist_ok=True)
        (seed / name).write_text(name)
    (seed / _DATABASES[0]).chmod(0o640)
    (seed / _SHELL).with_name("link").symlink_to("sh")
    (seed / _OVERLAY / "snapshots" / "1" / "work").mkdir(mode=0o711)
    return seed


def test_a_copy_shares_blobs_and_snapshots_and_has_databases_of_its_own(tmp_path: Path) -> None:
    seed, target = _seed(tmp_path), tmp_path / "nodes" / "one"
    image_store.copy(seed, target)
    for name in (_BLOB, _SHELL):
        assert (target / name).samefile(seed / name)
    for name in _DATABASES:
        assert not (target / name).samefile(seed / name)
        assert (target / name).stat().st_mode == (seed / name).stat().st_mode
        (target / name).write_text("of the node")
        assert (seed / name).read_text() == name
    assert (target / _SHELL).with_name("link").readlink() == Path("sh")
    assert (target / _OVERLAY / "snapshots" / "1" / "work").is_dir()
    assert list(target.parent.iterdir()) == [target], "nothing is left beside it"


def test_what_an_interrupted_copy_left_is_no_obstacle(tmp_path: Path) -> None:
    seed, target = _seed(tmp_path), tmp_path / "one"
    (tmp_path / ".one.new" / "half").mkdir(parents=True)
    image_store.copy(seed, target)
    assert not (target / "half").exists()
    assert (target / _BLOB).read_text() == _BLOB


def test_copies_are_independent_of_the_seed_once_they_are_made(tmp_path: Path) -> None:
    seed, one, two = _seed(tmp_path), tmp_path / "one", tmp_path / "two"
    image_store.copy(seed, one)
    image_store.copy(seed, two)
    (one / _BLOB).unlink()
    assert (two / _BLOB).read_text() == (seed / _BLOB).read_text() == _BLOB


def test_a_store_goes_a_day_after_its_last_copy() -> None:
    now = 10 * _DAY_S
    uses = {"current": 0.0, "fresh": now - _DAY_S / 2, "b-old": now - 2 * _DAY_S, "a-old": now - 3 * _DAY_S}
    assert image_store.unused(uses, "current", now) == ["a-old", "b-old"]


def test_a_store_is_made_from_the_last_one_of_the_same_runtime() -> None:
    assert image_store.base({}, "r1-new") is None
    assert image_store.base({"r2-b": 3.0}, "r1-new") is None
    assert image_store.base({"r1-a": 1.0, "r1-b": 2.0, "r2-b": 3.0}, "r1-new") == "r1-b"
