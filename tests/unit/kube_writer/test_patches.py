from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veg_contracts import names
from veg_contracts.commands import RecordKubeEvent
from veg_kube_writer import patches

_leaves = st.booleans() | st.integers() | st.text(max_size=3)
_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
_objects = st.dictionaries(st.sampled_from("abcd"), _values, max_size=4)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386, section 2, as it stands there."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


@settings(deadline=None)
@given(_objects, _objects)
def test_the_patch_makes_what_is_wanted_of_what_is_there(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    patch = patches.merge_patch(found, wanted)
    assert merged(found, patch) == wanted
    assert (not patch) == (found == wanted)


def test_lists_are_replaced_and_what_is_no_longer_there_vanishes() -> None:
    found = {"status": {"phase": "Completed", "internalIPs": ["a", "b"], "old": 1, "workload": {"nodes": [], "x": 1}}}
    wanted = {"phase": "Completed", "internalIPs": ["a"], "workload": {"nodes": []}}
    assert patches.status_patch(found, wanted) == {
        "status": {"internalIPs": ["a"], "old": None, "workload": {"x": None}}
    }
    assert patches.status_patch({"status": wanted}, wanted) == {}


def test_a_first_status_is_written_as_it_is() -> None:
    assert patches.status_patch({}, {"ready": False}) == {"status": {"ready": False}}


_PORT = {"name": "bfd@vpc1", "ip": "10.255.255.255", "nodes": ["a"]}


@pytest.mark.parametrize(
    ("before", "wanted", "patch"),
    [
        (None, _PORT, {"bfdPort": _PORT}),
        (_PORT, _PORT, None),
        (_PORT | {"theirs": 1}, _PORT | {"nodes": ["b", "a"]}, {"bfdPort": {"theirs": None, "nodes": ["b", "a"]}}),
        ("garbage", _PORT, {"bfdPort": _PORT}),
        (_PORT, None, {"bfdPort": None}),
        (None, None, None),
    ],
)
def test_only_the_bfd_port_of_a_vpc_comes_and_goes(before: Any, wanted: Any, patch: Any) -> None:
    status = {"router": "vpc1"} if before is None else {"router": "vpc1", "bfdPort": before}
    made = patches.bfd_port_patch({"status": status}, wanted)
    assert made == ({} if patch is None else {"status": patch})


def test_the_bfd_port_is_the_first_of_a_status() -> None:
    assert patches.bfd_port_patch({}, _PORT) == {"status": {"bfdPort": _PORT}}
    assert patches.bfd_port_patch({}, None) == {}


@pytest.mark.parametrize(
    ("before", "present", "after"),
    [
        ([], True, [names.FINALIZER]),
        (["theirs"], True, ["theirs", names.FINALIZER]),
        (["theirs", names.FINALIZER], False, ["theirs"]),
        ([names.FINALIZER], False, []),
        ([names.FINALIZER], True, None),
        (["theirs"], False, None),
    ],
)
def test_only_our_finalizer_comes_and_goes(before: list[str], present: bool, after: list[str] | None) -> None:
    wanted = {} if after is None else {"metadata": {"finalizers": after}}
    assert patches.finalizers_patch({"metadata": {"finalizers": before}}, present) == wanted


def test_a_patch_says_what_it_was_made_from() -> None:
    found = {"metadata": {"resourceVersion": "7"}}
    assert patches.unless_changed(found, {"metadata": {"finalizers": []}}) == {
        "metadata": {"finalizers": [], "resourceVersion": "7"}
    }


def order(**changes: str) -> RecordKubeEvent:
    whole = {"gateway": "default/gateway1", "message": "text"} | changes
    return RecordKubeEvent(
        gateway=whole["gateway"],
        gateway_uid="uid",
        generation=3,
        type="Normal",
        reason="ReconcileSuccess",
        message=whole["message"],
        at="2026-01-01T00:00:00Z",
    )


def test_an_event_names_its_gateway_and_its_time() -> None:
    event = patches.event(names.KUBE_OVN_GROUP, "cmd/1", order())
    assert event["involvedObject"] == {
        "apiVersion": "kubeovn.io/v1",
        "kind": "VpcEgressGateway",
        "namespace": "default",
        "name": "gateway1",
        "uid": "uid",
    }
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-01T00:00:00Z"


def test_the_name_of_an_event_depends_on_the_command_alone() -> None:
    name = patches.event(names.KUBE_OVN_GROUP, "cmd/1", order())["metadata"]["name"]
    assert name == patches.event(names.KUBE_OVN_GROUP, "cmd/1", order(message="other"))["metadata"]["name"]
    assert name != patches.event(names.KUBE_OVN_GROUP, "cmd/2", order())["metadata"]["name"]


def test_the_name_of_an_event_is_a_name_whatever_the_gateway_is_called() -> None:
    long = "a" * 235 + "." + "b" * 17
    name = patches.event(names.KUBE_OVN_GROUP, "cmd/1", order(gateway=f"default/{long}"))["metadata"]["name"]
    assert len(name) <= 253
    assert ".." not in name


def test_a_long_message_is_cut_between_characters() -> None:
    message = patches.event(names.KUBE_OVN_GROUP, "cmd/1", order(message="é" * 2000))["message"]
    assert message == "é" * 510 + "..."
    assert len(message.encode()) <= 1024


OURS = {"type": "Conflict", "status": "True", "reason": "OtherReconciler"}
THEIRS = {"type": "Init", "status": "Unknown", "reason": "Processing"}


@pytest.mark.parametrize(
    ("status", "after"),
    [
        (None, [OURS]),
        ({"phase": "Processing", "conditions": [THEIRS]}, [THEIRS, OURS]),
        ({"conditions": [{"type": "Conflict", "status": "True", "reason": "Older"}, THEIRS]}, [THEIRS, OURS]),
        ({"phase": "Processing", "conditions": [OURS, THEIRS]}, None),
    ],
)
def test_k4_one_condition_is_put_beside_those_of_another_one(status: Any, after: list[dict[str, str]] | None) -> None:
    patch = patches.condition_patch({"status": status} if status is not None else {}, OURS)
    assert patch == ({} if after is None else {"status": {"conditions": after}})
