from pathlib import Path

from veg_gw_agent import drain


def test_the_sign_comes_and_goes(tmp_path: Path) -> None:
    for released in (False, True, True, False, False):
        drain.show(str(tmp_path), released)
        assert (tmp_path / drain.RELEASED_FILE).exists() == released


def test_where_containers_share_nothing_nobody_waits_for_the_sign(tmp_path: Path) -> None:
    for released in (True, False):
        drain.show(str(tmp_path / "none"), released)
    assert list(tmp_path.iterdir()) == []
