import pytest

from veg_lab.cli import main


@pytest.fixture(autouse=True)
def lab_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEG_LAB", "unit-none")


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for word in ("lab/lab up", "--infra", "kill planner", "psql", "exec POD", "$VEG_LAB"):
        assert word in text


@pytest.mark.parametrize(
    "words", [["nbctl", "show"], ["start", "planner"], ["run", "--", "true"], ["psql"], ["node", "fail", "x"]]
)
def test_what_needs_a_lab_says_how_to_get_one(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 1
    assert "is not up; run: lab/lab up" in capsys.readouterr().err


def test_down_is_idempotent(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down"]) == 0
    assert "is down already" in capsys.readouterr().out


def test_a_wrong_lab_name_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("VEG_LAB", "no.dots")
    assert main(["down"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
