import pytest

from veg_contracts.names import KUBE_OVN_GROUP
from veg_watcher.api import ApiError
from veg_watcher.kinds import kinds
from veg_watcher.watch import Change, read_change

POD = next(kind for kind in kinds(KUBE_OVN_GROUP) if kind.name == "Pod")


def test_a_change_and_its_revision() -> None:
    change = read_change(POD, b'{"type":"MODIFIED","object":{"metadata":{"resourceVersion":"12"}}}')
    assert change == Change("MODIFIED", {"metadata": {"resourceVersion": "12"}})
    assert change.resource_version == "12"


def test_a_watch_whose_revision_is_too_old_ends_with_the_reason() -> None:
    line = b'{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old resource version: 1 (9)"}}'
    with pytest.raises(ApiError, match=r"watch of Pod: 410: too old resource version"):
        read_change(POD, line)


@pytest.mark.parametrize("line", [b"{", b"7", b'{"type":"GREETING","object":{}}', b'{"object":{}}', b"\xff"])
def test_what_is_no_change_is_an_error_that_names_the_kind(line: bytes) -> None:
    with pytest.raises(ApiError, match="watch of Pod"):
        read_change(POD, line)
