"""What is in the images that `scripts/images` has built: `make images` builds them and runs this.

Programs are started in the image's own root, mounted read-only, as the user and with the rights that Kubernetes gives.
"""

import gzip
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

IMAGES = Path(os.environ.get("VEG_CACHE") or "/var/cache/vpc-egress-gateway") / "images"
# Name -> megabytes when compressed, at most; and a command that shows that it starts, with its exit code.
BOUNDS: dict[str, tuple[int, list[str], int]] = {
    "watcher": (100, ["veg-watcher"], 2),
    "planner": (100, ["veg-planner"], 2),
    "ovn-writer": (100, ["veg-ovn-writer"], 2),
    "kube-writer": (100, ["veg-kube-writer"], 2),
    "bus-auth": (100, ["veg-bus-auth"], 2),
    "migrations": (100, ["alembic", "--version"], 0),
    "vegctl": (100, ["vegctl", "--help"], 0),
    "gw-agent": (120, ["gw-agent", "--help"], 0),
}
GATEWAY = "gw-agent"
NOBODY = 65534
ABSENT = ("apt", "apt-get", "dpkg", "pip", "pip3", "uv", "gcc", "cc", "g++", "make", "ld", "perl")


@dataclass(frozen=True)
class Image:
    name: str
    root: Path
    config: dict[str, Any]

    @property
    def uid(self) -> int:
        return int(self.config["User"].partition(":")[0])

    def run(self, *words: str, capabilities: str = "") -> "subprocess.CompletedProcess[str]":
        """A command in a network of its own, on a read-only root, as the image's user, with these as the bound."""
        bound = f"-all,{capabilities}" if capabilities else "-all"
        user = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", "--inh-caps=-all"]
        script = """
            mount --bind "$0" "$0"
            mount -o remount,ro,bind "$0"
            mount -t proc proc "$0/proc"
            exec chroot "$0" "$@"
        """
        argv = [
            "unshare",
            "--net",
            "--mount",
            "sh",
            "-ec",
            script,
            str(self.root),
            *user,
            f"--bounding-set={bound}",
            *words,
        ]
        environment = dict(item.split("=", 1) for item in self.config["Env"])
        return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module", params=BOUNDS)
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    name: str = request.param
    root = tmp_path_factory.mktemp(name)
    with tarfile.open(IMAGES / f"{name}.tar") as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = json.load(archive.extractfile(manifest["Config"]))["config"]  # type: ignore[arg-type]
        for layer in manifest["Layers"]:
            with archive.extractfile(layer) as data:  # type: ignore[union-attr]
                unpack = ["tar", "--xattrs", "--xattrs-include=*", "-C", str(root), "-xf", "-"]
                subprocess.run(unpack, input=data.read(), check=True)
    root.chmod(0o755)
    yield Image(name, root, config)
    subprocess.run(["rm", "-rf", str(root)], check=True)


def test_its_user_is_nobody_in_particular(image: Image) -> None:
    assert image.uid == (NOBODY if image.name == GATEWAY else 10001)


def test_it_says_what_it_is(image: Image) -> None:
    labels = image.config["Labels"]
    for key in ("title", "description", "licenses", "version"):
        assert labels[f"org.opencontainers.image.{key}"]


def test_a_service_has_a_health_check(image: Image) -> None:
    wanted = image.config["Entrypoint"][0].startswith("veg-")
    assert bool(image.config.get("Healthcheck")) == wanted
    if wanted:  # Compose asks for more than the image does
        assert "/readyz" in image.run("veg-health", "/readyz").stderr
        assert "/healthz" in image.run("veg-health").stderr


def test_it_is_small(image: Image) -> None:
    compressed = sum(len(chunk) for chunk in _compressed(IMAGES / f"{image.name}.tar"))
    print(f"{image.name}: {compressed / 1e6:.0f} MB compressed")
    assert compressed <= BOUNDS[image.name][0] * 1e6


def _compressed(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 24):
            yield gzip.compress(block, compresslevel=1)


def test_nothing_in_it_installs_or_compiles_or_becomes_root(image: Image) -> None:
    programs = {
        path.name
        for where in ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "app/bin")
        for path in (image.root / where).glob("*")
    }
    assert not programs & set(ABSENT)
    assert not list(image.root.glob("app/lib/python*/site-packages/pip"))
    setuid = ["find", str(image.root), "-xdev", "-type", "f", "-perm", "/6000"]
    assert subprocess.run(setuid, capture_output=True, text=True, check=True).stdout == ""


def test_its_modules_are_compiled(image: Image) -> None:
    sources = set(image.root.glob("app/lib/python*/site-packages/veg*/**/*.py"))
    compiled = {
        path.parent.parent / f"{path.name.partition('.')[0]}.py" for path in image.root.glob("app/lib/**/*.pyc")
    }
    assert image.name == "migrations" or sources
    assert sources <= compiled


def test_nothing_of_the_machine_that_built_it_is_left(image: Image) -> None:
    assert not list((image.root / "usr/local/share/ca-certificates").glob("*"))
    assert not (image.root / "etc/pip.conf").exists()


def test_a_scanner_can_tell_what_is_in_it(image: Image) -> None:
    packages = (image.root / "var/lib/dpkg/status").read_text()
    assert "\nPackage: libc6\n" in f"\n{packages}"
    assert "\nPackage: python3.11-minimal\n" in packages
    metadata = {path.parent.name for path in image.root.glob("app/lib/python*/site-packages/*.dist-info/METADATA")}
    wanted = "alembic" if image.name == "migrations" else "msgspec"
    assert any(name.startswith(f"{wanted}-") for name in metadata), sorted(metadata)


def test_it_starts_on_a_read_only_root(image: Image) -> None:
    _, words, code = BOUNDS[image.name]
    done = image.run(*words, capabilities="+net_admin,+net_raw" if image.name == GATEWAY else "")
    assert done.returncode == code, done.stderr
    if code:
        assert "environment variable" in done.stderr, "it says which setting is missing"
    assert image.run("touch", "/etc/written").returncode != 0


@pytest.mark.parametrize("image", [GATEWAY], indirect=True)
def test_the_gateways_programs_have_their_two_rights_and_no_other(image: Image) -> None:
    rights = "+net_admin,+net_raw"
    status = "print(open('/proc/self/status').read())"
    assert (image.root / "app/bin/gw-agent").read_text().startswith("#!/app/bin/python3-net\n")
    done = image.run("python3-net", "-c", status, capabilities=rights)
    assert "CapEff:\t0000000000003000" in done.stdout, done.stdout + done.stderr
    assert image.config["WorkingDir"] == "/kube-ovn"
    rules = "iptables -t nat -A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE && iptables -t nat -S && ip6tables -t nat -S"
    done = image.run("bash", "-c", rules, capabilities=rights)
    assert "-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE" in done.stdout, done.stderr
    for words in (["tcpdump", "-D"], ["bash", "-c", "tcpdump -D; :"]):
        done = image.run(*words, capabilities=rights)
        assert "lo" in done.stdout, done.stderr
    assert image.run("gw-ready", capabilities=rights).stdout == "no config was applied yet\n"
    assert image.run("bfdd", "--help").returncode == 0, "the speaker has no rights at all"
