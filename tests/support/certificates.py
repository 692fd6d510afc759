"""An authority for one test, and what it certifies."""

from pathlib import Path

from veg_lab import certificates
from veg_lab.certificates import Pair

ADDRESS = "subjectAltName=IP:127.0.0.1"
NAME = "subjectAltName=DNS:bus.example"


class Authority:
    """Keeps its files in `directory`, which is made."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self._pair = Pair.at(directory, "ca")
        certificates.make_authority(self._pair, f"/CN={directory.name}")

    @property
    def file(self) -> Path:
        return self._pair.certificate

    @property
    def pem(self) -> str:
        return self.file.read_text()

    def issue(self, name: str, *extensions: str, expired: bool = False) -> Pair:
        """A certificate for `name`, e.g. with `ADDRESS`."""
        made = Pair.at(self._directory, name)
        certificates.issue(made, self._pair, f"/CN={name}", *extensions)
        if expired:
            certificates.expire(made, self._pair)
        return made
