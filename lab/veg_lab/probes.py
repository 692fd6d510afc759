"""Readiness probes: small functions that say yes or no, and never raise because a server is not there yet."""

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import DEVNULL, run

from veg_lab import netns

TIMEOUT_S = 2.0
Probe = Callable[[], bool]


def answers(namespace: str, url: str, *, ca: Path | None = None, token: str | None = None) -> Probe:
    """A GET of this URL, made in the namespace, is answered with 200."""

    def probe() -> bool:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})  # noqa: S310
        try:
            context = ssl.create_default_context(cafile=str(ca)) if ca else None
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
            )
            with netns.entered(namespace), opener.open(request, timeout=TIMEOUT_S) as response:
                return bool(response.status == http.client.OK)
        except (urllib.error.URLError, http.client.HTTPException, OSError):
            return False

    return probe


def listens(path: Path) -> Probe:
    """Something accepts connections at this unix socket."""

    def probe() -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(TIMEOUT_S)
            try:
                client.connect(str(path))
            except OSError:
                return False
            return True

    return probe


def succeeds(argv: Sequence[str]) -> Probe:
    """This command exits with 0."""
    return lambda: run(argv, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, check=False).returncode == 0
