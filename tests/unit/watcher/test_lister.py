import pytest

from veg_contracts.names import KUBE_OVN_GROUP
from veg_watcher.api import ApiError
from veg_watcher.kinds import kinds
from veg_watcher.lister import Page, read_page

POD = next(kind for kind in kinds(KUBE_OVN_GROUP) if kind.name == "Pod")


def test_a_page_with_more_to_come() -> None:
    body = b'{"metadata":{"resourceVersion":"9","continue":"more"},"items":[{"a":1}]}'
    assert read_page(POD, body) == Page("9", ({"a": 1},), "more")


def test_an_empty_last_page() -> None:
    assert read_page(POD, b'{"metadata":{"resourceVersion":"9"},"items":null}') == Page("9", (), "")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"items":[]}', b"\xff", b"[" * 100_000])
def test_what_is_no_list_is_an_error_that_names_the_kind(body: bytes) -> None:
    with pytest.raises(ApiError, match="list of Pod"):
        read_page(POD, body)
