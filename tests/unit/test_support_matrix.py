"""What the support matrix calls tried is a test that exists, in both languages alike."""

import re
from pathlib import Path

from unit.test_docs import names_in

ROOT = Path(__file__).parents[2]
MATRICES = [ROOT / "docs" / name for name in ("support-matrix.md", "support-matrix.zh-CN.md")]


def rows(path: Path) -> list[list[str]]:
    """The cells of each row of each table, without the headers."""
    lines = [line for line in path.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [
        row
        for row, after in zip(cells, [*cells[1:], [""]], strict=True)
        if not (set(row[0]) <= {"-"} or set(after[0]) == {"-"})
    ]


def proofs(row: list[str]) -> list[str]:
    return re.findall(r"`(tests/[^`]+)`", row[-1])


def test_every_tried_line_names_a_test_that_exists() -> None:
    for path in MATRICES:
        tried = [row for row in rows(path) if row[1].startswith(("tried", "已测试"))]
        assert len(tried) >= 5, path
        for row in tried:
            assert proofs(row), f"{path.name}: {row[0]}: no test"
            for proof in proofs(row):
                file, _, name = proof.partition("::")
                assert (ROOT / file).exists(), proof
                assert not name or name in names_in(ROOT / file), proof


def test_both_languages_say_the_same() -> None:
    english, chinese = map(rows, MATRICES)
    assert [(len(row), proofs(row)) for row in english] == [(len(row), proofs(row)) for row in chinese]
