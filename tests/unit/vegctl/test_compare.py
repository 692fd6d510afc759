import pytest

from vegctl.compare import Parting, first_parting


@pytest.mark.parametrize(
    ("stored", "replayed", "expected"),
    [
        ('{"a": 1, "b": [1, 2]}', '{"b": [1, 2], "a": 1}', None),
        ("", "", None),
        ('{"a": {"b": [{"c": 1}]}}', '{"a": {"b": [{"c": 2}]}}', Parting("$.a.b[0].c", "1", "2")),
        ('{"b": 1, "a": 1}', '{"b": 2, "a": 2}', Parting("$.a", "1", "2")),
        ('{"a": null}', "{}", Parting("$.a", "null", "nothing")),
        ("[1]", "[1, 2]", Parting("$[1]", "nothing", "2")),
        ('{"a": {}}', '{"a": []}', Parting("$.a", "{}", "[]")),
        ('{"a": true}', '{"a": 1}', Parting("$.a", "true", "1")),
        ("", '{"a": 1}', Parting("$", "nothing", '{"a": 1}')),
    ],
)
def test_the_first_path_that_differs(stored: str, replayed: str, expected: Parting | None) -> None:
    assert first_parting(stored, replayed) == expected


def test_a_long_value_is_cut() -> None:
    parting = first_parting("", f'"{"x" * 5000}"')
    assert parting is not None
    assert len(parting.replayed) == 300
    assert parting.replayed.endswith("...")
