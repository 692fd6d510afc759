"""Keys and certificates of an authority of one's own, made by the program `openssl`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from veg_lab import netns

_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_DAYS = "3650"


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both files in PEM form."""

    certificate: Path
    key: Path

    @classmethod
    def at(cls, directory: Path, name: str) -> "Pair":
        """`name.crt` and `name.key` in `directory`, whether they exist or not."""
        return cls(directory / f"{name}.crt", directory / f"{name}.key")


def make_authority(pair: Pair, subject: str) -> None:
    """A certificate that signs itself; `subject` as openssl writes it: "/CN=name"."""
    _request(pair, subject)


def issue(pair: Pair, authority: Pair, subject: str, *extensions: str) -> None:
    """A certificate that `authority` signs; `extensions` as openssl writes them: "subjectAltName=IP:127.0.0.1"."""
    words = [*_signed_by(authority)]
    for extension in ("basicConstraints=CA:FALSE", *extensions):
        words += ["-addext", extension]
    _request(pair, subject, words)


def expire(pair: Pair, authority: Pair) -> None:
    """Replace the certificate by one that says the same and ended yesterday."""
    copied = ("-copy_extensions", "copyall")
    asks = ["openssl", "x509", "-x509toreq", "-in", str(pair.certificate), "-signkey", str(pair.key), *copied]
    signs = ["openssl", "x509", "-req", *_signed_by(authority), "-days", "-1", *copied, "-out", str(pair.certificate)]
    netns.run(signs, stdin=netns.run(asks))


def make_key(file: Path) -> None:
    """A bare RSA key, for what is signed and not certified."""
    netns.run(["openssl", "genrsa", "-out", str(file), "2048"])


def _signed_by(authority: Pair) -> tuple[str, ...]:
    return ("-CA", str(authority.certificate), "-CAkey", str(authority.key))


def _request(pair: Pair, subject: str, words: Sequence[str] = ()) -> None:
    files = ("-keyout", str(pair.key), "-out", str(pair.certificate))
    netns.run(["openssl", "req", "-x509", *_CURVE, "-days", _DAYS, *files, *words, "-subj", subject])
