import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from functional.control_plane import ControlPlane
from functional.servers import wait_for
from functional.watcher.bus import Bus
from functional.watcher.conftest import BY_NAME, Watcher, crd

from veg_contracts.events import KindListed, ObjectChanged
from veg_contracts.objects import KINDS, EgressGateway, NetworkAttachment, Node, Pod, Vpc
from veg_runtime import kube
from veg_watcher import watch
from veg_watcher.api import Api, ApiError

NAMESPACES = "/api/v1/namespaces"
VPCS = "/apis/kubeovn.io/v1/vpcs"


def namespace(cluster: ControlPlane, name: str, **labels: str) -> str:
    """Create it and return its uid."""
    made = cluster.create(NAMESPACES, {"metadata": {"name": name, "labels": labels}})
    return str(made["metadata"]["uid"])


def vpc(cluster: ControlPlane, name: str) -> str:
    body = {"apiVersion": "kubeovn.io/v1", "kind": "Vpc", "metadata": {"name": name}, "status": {"router": name}}
    return str(cluster.create(VPCS, body)["metadata"]["uid"])


def gateway(cluster: ControlPlane, space: str, name: str, spec: Any) -> str:
    path = f"/apis/kubeovn.io/v1/namespaces/{space}/vpc-egress-gateways"
    body = {"apiVersion": "kubeovn.io/v1", "kind": "VpcEgressGateway", "metadata": {"name": name}, "spec": spec}
    return str(cluster.create(path, body)["metadata"]["uid"])


def told(bus: Bus, name: str, times: int = 1) -> list[ObjectChanged]:
    """The events of the object, once there are so many."""
    wait_for(f"{times} events of {name}", lambda: len(bus.changed(name)) >= times)
    found = bus.changed(name)
    assert len(found) == times, found
    return found


def test_each_kind_is_told_and_listed(cluster: ControlPlane, bus: Bus, watcher: Watcher) -> None:
    namespace(cluster, "tenant", team="a")
    status = [{"name": "default/eth1", "interface": "net1", "ips": ["172.17.0.11"]}]
    pod = {
        "metadata": {"name": "client", "annotations": {"k8s.v1.cni.cncf.io/network-status": json.dumps(status)}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    cluster.create(f"{NAMESPACES}/tenant/pods", pod)
    cluster.create(
        "/api/v1/nodes", {"metadata": {"name": "worker", "annotations": {"ovn.kubernetes.io/port_name": "p"}}}
    )
    uid = gateway(cluster, "tenant", "gateway1", {"replicas": 1})
    watcher.start()

    assert told(bus, "gateway1")[0].uid == uid
    spec = bus.changed("gateway1")[0].object
    assert isinstance(spec, EgressGateway)
    assert (spec.key, spec.spec, spec.generation) == ("tenant/gateway1", {"replicas": 1}, 1)
    client = told(bus, "client")[0].object
    assert isinstance(client, Pod)
    assert client.attachments[0].ips == ("172.17.0.11",)
    node = told(bus, "worker")[0].object
    assert isinstance(node, Node)
    assert node.port_name == "p"

    vpc(cluster, "vpc-later")  # seen by the watch, not by the list
    later = told(bus, "vpc-later")[0]
    assert isinstance(later.object, Vpc)
    assert later.object.router == "vpc-later"

    envelopes = bus.envelopes()
    assert {event.kind for event in (envelope.data for envelope in envelopes) if isinstance(event, KindListed)} == set(
        KINDS
    ) - {"NetworkAttachmentDefinition"}
    order = [envelope.data for envelope in envelopes if envelope.subject.startswith("veg.evt.k8s.pod.")]
    assert [type(event) for event in order] == [ObjectChanged, KindListed]
    assert watcher.readiness() == (200, "watching; not installed: NetworkAttachmentDefinition\n")


def test_what_means_nothing_to_the_planner_is_not_told(
    cluster: ControlPlane, bus: Bus, make_watcher: Callable[..., Watcher]
) -> None:
    cluster.create("/api/v1/nodes", {"metadata": {"name": "beating"}})
    make_watcher(relist_interval_s="1").start()
    told(bus, "beating")
    for beat in range(5):
        at = f"2025-01-01T00:00:0{beat}Z"
        condition = {"type": "Ready", "status": "False", "lastHeartbeatTime": at, "reason": "r", "message": "m"}
        cluster.patch("/api/v1/nodes/beating/status", {"status": {"conditions": [condition]}})
    before = len(bus.listed("Node"))
    wait_for("one more list", lambda: len(bus.listed("Node")) > before)
    told(bus, "beating")  # still once, after five heartbeats and a full list
    cluster.patch("/api/v1/nodes/beating", {"metadata": {"labels": {"zone": "b"}}})
    assert told(bus, "beating", 2)[1].object == Node(name="beating", labels={"zone": "b"})


def test_a_watcher_that_was_killed_catches_up(cluster: ControlPlane, bus: Bus, watcher: Watcher) -> None:
    kept, changed, gone = vpc(cluster, "vpc-kept"), vpc(cluster, "vpc-changed"), vpc(cluster, "vpc-gone")
    watcher.start()
    told(bus, "vpc-gone")
    watcher.kill()
    cluster.delete(f"{VPCS}/vpc-gone")
    cluster.patch(f"{VPCS}/vpc-changed", {"status": {"router": "other"}})
    fresh = vpc(cluster, "vpc-fresh")
    watcher.start()

    last = bus.listed("Vpc")[-1]
    assert {kept, changed, fresh} <= set(last.uids)
    assert gone not in last.uids
    assert [event.object for event in told(bus, "vpc-changed", 2)] == [
        Vpc(name="vpc-changed", router="vpc-changed"),
        Vpc(name="vpc-changed", router="other"),
    ]
    told(bus, "vpc-fresh")
    told(bus, "vpc-kept")  # the second process told it again, under the same id
    assert_no_doubles(bus)


def assert_no_doubles(bus: Bus) -> None:
    doubles = [name for name, times in Counter(envelope.id for envelope in bus.envelopes()).items() if times > 1]
    assert doubles == []


def test_a_deletion_is_told_with_its_own_revision(cluster: ControlPlane, bus: Bus, watcher: Watcher) -> None:
    uid = vpc(cluster, "vpc-short")
    watcher.start()
    seen = told(bus, "vpc-short")[0]
    cluster.delete(f"{VPCS}/vpc-short")
    wait_for("the deletion", lambda: bool(bus.deleted()))
    (deletion,) = bus.deleted()
    assert (deletion.kind, deletion.name, deletion.uid) == ("Vpc", "vpc-short", uid)
    assert deletion.resource_version > seen.resource_version
    again = vpc(cluster, "vpc-short")  # the same name, another object
    assert told(bus, "vpc-short", 2)[1].uid == again


def test_a_deployment_is_seen_while_it_carries_our_label(cluster: ControlPlane, bus: Bus, watcher: Watcher) -> None:
    namespace(cluster, "apps")
    path = "/apis/apps/v1/namespaces/apps/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    cluster.create(path, {"metadata": {"name": "foreign"}, "spec": spec})
    cluster.create(path, {"metadata": {"name": "ours", "labels": {"app": "vpc-egress-gateway"}}, "spec": spec})
    watcher.start()
    told(bus, "ours")
    cluster.patch(f"{path}/ours", {"metadata": {"labels": {"app": "other"}}})
    wait_for("the deletion of ours", lambda: [event.name for event in bus.deleted()] == ["ours"])
    assert bus.changed("foreign") == []


def test_two_watchers_tell_everything_once(
    cluster: ControlPlane, bus: Bus, make_watcher: Callable[..., Watcher]
) -> None:
    one, two = make_watcher(), make_watcher()
    one.start()
    two.start()
    vpc(cluster, "vpc-both")
    told(bus, "vpc-both")
    cluster.delete(f"{VPCS}/vpc-both")
    wait_for("the deletion", lambda: bool(bus.deleted()))
    one.kill()
    vpc(cluster, "vpc-second")
    told(bus, "vpc-second")
    assert_no_doubles(bus)
    assert two.stop() == 0


def test_malformed_and_oversized_objects_do_not_stop_the_others(
    cluster: ControlPlane, bus: Bus, watcher: Watcher
) -> None:
    namespace(cluster, "bad")
    watcher.start()
    gateway(cluster, "bad", "no-spec", "garbage")
    gateway(cluster, "bad", "huge", {"prefix": "x" * 950_000})
    vpc(cluster, "vpc-after")
    gateway(cluster, "bad", "after", {"replicas": 1})
    told(bus, "after")
    told(bus, "vpc-after")
    seen = told(bus, "no-spec")[0].object
    assert isinstance(seen, EgressGateway)
    assert seen.spec == {}
    assert bus.changed("huge") == []
    (line,) = (line for line in watcher.said() if line["event"] == "object skipped")
    assert (line["kind"], line["object"], line["field"]) == ("VpcEgressGateway", "bad/huge", "spec")
    assert "900000 are allowed" in line["reason"]


def test_a_lost_bus_loses_nothing(cluster: ControlPlane, bus: Bus, watcher: Watcher) -> None:
    watcher.start()
    bus.server.kill()
    uid = vpc(cluster, "vpc-unheard")
    vpc(cluster, "vpc-brief")
    cluster.delete(f"{VPCS}/vpc-brief")
    bus.server.start()
    assert told(bus, "vpc-unheard")[0].uid == uid
    wait_for("the deletion of vpc-brief", lambda: [event.name for event in bus.deleted()] == ["vpc-brief"])
    assert_no_doubles(bus)


def test_a_lost_api_server_is_waited_for(
    cluster: ControlPlane, bus: Bus, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher.start()
    cluster.kill_api_server()
    cluster.start()
    vpc(cluster, "vpc-after-restart")
    told(bus, "vpc-after-restart")
    assert_no_doubles(bus)
    # The server remembers changes since its start only: a watch from an older revision is told so.
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig("watcher")))
    with pytest.raises(ApiError, match="watch of Vpc: 410: too old resource version"):
        asyncio.run(watch_from("1"))


async def watch_from(revision: str) -> None:
    async with kube.connected() as connection:
        async for _ in watch.changes(Api(connection), BY_NAME["Vpc"], revision, 5.0):
            pass


def test_an_optional_kind_is_found_when_it_is_installed(
    cluster: ControlPlane, bus: Bus, make_watcher: Callable[..., Watcher]
) -> None:
    watcher = make_watcher(absent_interval_s="0.5")
    watcher.start()
    kind = BY_NAME["NetworkAttachmentDefinition"]
    namespace(cluster, "nets")
    cluster.install(crd(kind))
    body = {
        "apiVersion": f"{kind.group}/{kind.version}",
        "kind": kind.name,
        "metadata": {"name": "eth1"},
        "spec": {"config": '{"type":"macvlan"}'},
    }
    cluster.create(f"/apis/{kind.group}/{kind.version}/namespaces/nets/{kind.plural}", body)
    assert told(bus, "eth1")[0].object == NetworkAttachment(name="eth1", namespace="nets", config='{"type":"macvlan"}')
    wait_for("the watcher to be ready", lambda: watcher.readiness() == (200, "watching\n"))
    cluster.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.plural}.{kind.group}")
    wait_for("the deletion of eth1", lambda: [event.name for event in bus.deleted()] == ["eth1"])
