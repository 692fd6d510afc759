from typing import Any

import pytest

from veg_kube_writer import facts


@pytest.mark.parametrize(
    ("value", "keys", "found"),
    [
        ({"a": {"b": 1}}, ("a", "b"), 1),
        ({"a": {"b": 1}}, ("a", "c"), None),
        ({"a": None}, ("a", "b"), None),
        ({"a": [1]}, ("a", "b"), None),
        (None, ("a",), None),
    ],
)
def test_what_is_missing_is_none(value: Any, keys: tuple[str, ...], found: Any) -> None:
    assert facts.dig(value, *keys) == found


def test_an_owner_is_told_by_its_uid_and_not_by_its_name() -> None:
    owners = [{"name": "gateway1", "uid": "earlier"}, {"name": "other", "uid": "ours"}]
    found = {"metadata": {"ownerReferences": owners}}
    assert facts.is_owned_by(found, "ours")
    assert not facts.is_owned_by(found, "now")
    assert not facts.is_owned_by({"metadata": {}}, "ours")


def test_an_object_that_is_going_has_a_time_of_deletion() -> None:
    assert facts.is_being_deleted({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    assert not facts.is_being_deleted({"metadata": {}})


def test_selectors_are_compared_as_a_whole() -> None:
    one = {"spec": {"selector": {"matchLabels": {"a": "1", "b": "2"}}}}
    assert facts.has_same_selector(one, {"spec": {"selector": {"matchLabels": {"b": "2", "a": "1"}}}})
    assert not facts.has_same_selector(one, {"spec": {"selector": {"matchLabels": {"a": "1"}}}})
