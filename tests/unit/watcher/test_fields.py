import pytest

from veg_watcher.fields import at, integer, items, mapping, text, text_map, texts


def test_a_path_that_does_not_lead_on_ends_in_none() -> None:
    assert at({"a": {"b": 1}}, "a", "b") == 1
    assert at({"a": {"b": 1}}, "a", "b", "c") is None
    assert at({"a": []}, "a", "b") is None
    assert at(None, "a") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, 3), (-1, -1), (True, 0), (1.5, 0), ("3", 0), (None, 0), (2**63 - 1, 2**63 - 1), (2**63, 0)],
)
def test_an_integer_is_one_of_64_bits_and_no_boolean(value: object, expected: int) -> None:
    assert integer(value) == expected


def test_what_is_of_the_wrong_type_is_dropped() -> None:
    assert text(7) == ""
    assert mapping([]) == {}
    assert items({"a": 1}) == ()
    assert texts(["a", 1, None, "", "b"]) == ("a", "b")
    assert text_map({"a": "1", "b": 2, "c": None}) == {"a": "1"}
    assert text_map("garbage") == {}
