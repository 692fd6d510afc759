from typing import Any

import pytest

from veg_contracts.base import encode
from veg_contracts.envelope import from_message, to_body, to_headers
from veg_contracts.events import KindListed, ObjectChanged, ObjectDeleted
from veg_contracts.objects import EgressGateway, Namespace
from veg_contracts.subjects import MESSAGE_BYTES_MAX
from veg_watcher import observe
from veg_watcher.observe import UnusableObjectError

UID = "6b8c1a9e-6f2f-4c53-9a43-0d1a2b3c4d5e"


def raw(**metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "ns.one", "uid": UID, "resourceVersion": "42", **metadata}}


def test_changed() -> None:
    event = observe.changed("Namespace", raw())
    assert event == ObjectChanged(uid=UID, resource_version=42, object=Namespace(name="ns.one"))
    assert observe.event_id(event) == f"k8s/Namespace/{UID}/42"
    assert observe.subject(event) == "veg.evt.k8s.namespace._.ns_one"


def test_deleted() -> None:
    event = observe.deleted("Pod", raw(namespace="default"))
    assert event == ObjectDeleted(kind="Pod", name="ns.one", namespace="default", uid=UID, resource_version=42)
    assert observe.event_id(event) == f"k8s/Pod/{UID}/42/deleted"
    assert observe.subject(event) == "veg.evt.k8s.pod.default.ns_one"


def test_listed_in_parts_that_fit_the_bus() -> None:
    uids = [UID] * (2 * observe.UIDS_PER_PART + 1)
    events = observe.listed("Pod", 42, uids)
    assert [(event.part, event.parts, len(event.uids)) for event in events] == [
        (0, 3, 10_000),
        (1, 3, 10_000),
        (2, 3, 1),
    ]
    assert [observe.event_id(event) for event in events] == [f"k8s/Pod/listed/42/{part}-of-3" for part in range(3)]
    assert max(len(encode(event)) for event in events) < MESSAGE_BYTES_MAX / 2
    assert observe.subject(events[0]) == "veg.evt.k8s.pod.listed"


def test_a_list_of_nothing_is_said_too() -> None:
    assert observe.listed("Pod", 7, []) == (KindListed(kind="Pod", resource_version=7, part=0, parts=1, uids=()),)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"resourceVersion": "x1"}, "Namespace ns.one: metadata.resourceVersion is 'x1', expected a number"),
        ({"resourceVersion": None}, "Namespace ns.one: metadata.resourceVersion is 'None', expected a number"),
        ({"resourceVersion": "٤٢"}, "Namespace ns.one: metadata.resourceVersion is '٤٢', expected a number"),
        ({"resourceVersion": "9" * 5000}, f"metadata.resourceVersion is '{'9' * 40}', expected a number"),
        ({"uid": 7}, "Namespace ns.one: metadata.uid is missing"),
        ({"name": None}, f"Namespace (no name): metadata.name is missing, uid {UID}"),
    ],
)
def test_an_object_without_what_every_object_has_is_refused_by_name(metadata: dict[str, Any], expected: str) -> None:
    for see in (observe.changed, observe.deleted):
        with pytest.raises(UnusableObjectError) as refused:
            see("Namespace", raw(**metadata))
        assert expected in str(refused.value)


@pytest.mark.parametrize("garbage", [None, 7, "x", [], {}, {"metadata": None}])
def test_what_is_no_object_at_all_is_refused(garbage: Any) -> None:
    with pytest.raises(UnusableObjectError):
        observe.changed("Pod", garbage)


@pytest.mark.parametrize(
    "event",
    [observe.changed("Namespace", raw()), observe.deleted("Namespace", raw()), *observe.listed("Namespace", 42, [UID])],
)
def test_a_message_is_read_as_it_was_meant(event: observe.KubernetesEvent) -> None:
    sent = observe.envelope(event, "2025-01-01T00:00:00.000000Z", f"00-{'a' * 32}-{'b' * 16}-01")
    read = from_message(sent.subject, to_headers(sent), to_body(sent))
    assert read == sent
    assert read.correlation_id == read.id


def test_the_largest_field_is_named() -> None:
    gateway = EgressGateway(name="a", generation=1, created_at="", spec={"prefix": "x" * 100}, finalizers=("f",))
    assert observe.largest_field(gateway) == "spec"
