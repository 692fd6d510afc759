from pathlib import Path

import pytest

from veg_bfdd import control


def test_the_status_is_printed_as_the_document_has_it() -> None:
    assert control.status([("192.168.0.3", "10.255.255.255", "Up")]) == (
        "There are 1 sessions:\nSession 1\n id=1 local=192.168.0.3 (p) remote=10.255.255.255 state=Up\n"
    )


def test_two_sessions_and_none() -> None:
    assert control.status([("192.168.0.3", "10.255.255.255", "Up"), ("fd00::3", "fdff::1", "Down")]).splitlines() == [
        "There are 2 sessions:",
        "Session 1",
        " id=1 local=192.168.0.3 (p) remote=10.255.255.255 state=Up",
        "Session 2",
        " id=2 local=fd00::3 (p) remote=fdff::1 state=Down",
    ]
    assert control.status([]) == "There are 0 sessions:\n"


def test_the_directory_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VEG_BFD_DIR", raising=False)
    assert control.directory() == Path("/run/veg-bfd")
    monkeypatch.setenv("VEG_BFD_DIR", "/tmp/elsewhere")
    assert control.directory() == Path("/tmp/elsewhere")
