from collections.abc import Callable
from typing import Any

from veg_lab.mini_kube_ovn.behaviours import OwnGateways, named
from veg_lab.mini_kube_ovn.changes import Create, Patch
from veg_lab.mini_kube_ovn.gateways.decide import Removal, Step, gateways, step
from veg_lab.mini_kube_ovn.gateways.rows import GatewayRows
from veg_lab.mini_kube_ovn.snapshot import take

NOW = "2024-06-01T00:00:00Z"


def taken(objects: dict[str, list[Any]], version: str = "1.17") -> Step:
    form = named(version).own_gateways
    assert isinstance(form, OwnGateways)
    snapshot = take(objects)
    (gateway,) = gateways(snapshot)
    return step(gateway, snapshot, form, NOW)


def rows(objects: dict[str, list[Any]], version: str = "1.17") -> GatewayRows:
    found = taken(objects, version).rows
    assert isinstance(found, GatewayRows)
    return found


def served(gateway: dict[str, Any]) -> dict[str, Any]:
    """Past its first steps."""
    gateway["status"] = {"phase": "Processing"}
    gateway["metadata"]["finalizers"] = ["kubeovn.io/kube-ovn-controller"]
    return gateway


def test_it_says_that_it_begins_then_takes_its_finalizer_then_makes_its_deployment(
    own: Callable[..., Any], gateway: Callable[..., Any]
) -> None:
    obj = gateway()
    (first,) = taken(own(obj)).changes
    assert isinstance(first, Patch)
    assert (first.status, first.body["status"]["phase"]) == (True, "Processing")
    obj["status"] = first.body["status"]
    (second,) = taken(own(obj)).changes
    assert isinstance(second, Patch)
    assert second.body["metadata"]["finalizers"] == ["kubeovn.io/kube-ovn-controller"]
    obj["metadata"] |= second.body["metadata"]
    third, told = taken(own(obj)).changes
    assert isinstance(third, Create)
    assert isinstance(told, Patch)
    assert told.body["status"]["conditions"][-1]["message"] == "Waiting for Deployment gateway1 to be ready"
    (owner,) = third.body["metadata"]["ownerReferences"]
    assert "controller" not in owner
    annotations = third.body["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {
        "k8s.v1.cni.cncf.io/networks": "default/eth1",
        "ovn.kubernetes.io/logical_switch": "ovn-default",
        "eth1.default.kubernetes.io/routes": '[{"dst":"0.0.0.0/0","gw":"172.17.0.1"}]',
    }


def test_it_is_ready_when_its_deployment_and_its_pods_are(
    own: Callable[..., Any], gateway: Callable[..., Any], gateway_pod: Callable[..., Any]
) -> None:
    obj = served(gateway())
    objects = own(obj)
    made = taken(objects).changes[0]
    assert isinstance(made, Create)
    made.body["metadata"]["generation"] = 1
    made.body["status"] = {"observedGeneration": 1, "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1}
    objects = own(obj, gateway_pod("10.16.0.12")) | {"Deployment": [made.body]}
    (told,) = taken(objects).changes
    assert isinstance(told, Patch)
    status = told.body["status"]
    assert (status["ready"], status["phase"]) == (True, "Completed")
    assert (status["internalIPs"], status["externalIPs"]) == (["10.16.0.12"], ["172.17.0.11"])
    assert status["workload"]["nodes"] == ["kube-ovn-worker"]
    obj["status"] = status
    assert taken(objects).changes == ()


def test_its_rows_are_those_of_the_newest_version(
    own: Callable[..., Any], gateway: Callable[..., Any], gateway_pod: Callable[..., Any]
) -> None:
    found = rows(own(served(gateway()), gateway_pod("10.16.0.12")))
    assert [(p.priority, p.match, p.action, p.nexthops) for p in found.policies] == [
        (29100, "ip4.src == $VEG.8ca38ae7da18.ipv4", "reroute", ("10.16.0.12",)),
        (29100, "ip4.src == $VEG.8ca38ae7da18_ip4", "reroute", ("10.16.0.12",)),
    ]
    assert dict(found.policies[0].external_ids) == {
        "vendor": "kube-ovn",
        "vpc-egress-gateway": "default/gateway1",
        "af": "4",
    }
    assert [(each.name, each.addresses) for each in found.address_sets] == [
        ("VEG.8ca38ae7da18.ipv4", ("10.16.0.0/16",)),
        ("VEG.8ca38ae7da18_ip4", ()),
        ("VEG.8ca38ae7da18.ipv6", ()),
        ("VEG.8ca38ae7da18_ip6", ()),
    ]
    assert found.port_group == ""


def test_1_14_always_has_a_port_group_and_selectors_fill_it(
    own: Callable[..., Any], gateway: Callable[..., Any], pod: Callable[..., Any]
) -> None:
    assert rows(own(served(gateway())), "1.14").port_group == "VEG.8ca38ae7da18"
    selected = pod("client", ovn__allocated="true", ovn__logical_router="ovn-cluster")
    selected["metadata"]["labels"] = {"app": "web"}
    other = pod("other", ovn__allocated="true", ovn__logical_router="ovn-cluster")
    obj = served(gateway(policies=[], selectors=[{"podSelector": {"matchLabels": {"app": "web"}}}]))
    found = rows(own(obj, selected, other))
    assert (found.port_group, found.ports) == ("VEG.8ca38ae7da18", ("client.default",))


def test_with_bfd_there_are_sessions_and_drops_of_both_families(
    own: Callable[..., Any], gateway: Callable[..., Any], gateway_pod: Callable[..., Any]
) -> None:
    obj = served(gateway(bfd={"enabled": True, "minRX": 100, "minTX": 200, "multiplier": 3}))
    objects = own(obj, gateway_pod("10.16.0.12"))
    (refused,) = taken(objects).changes
    assert isinstance(refused, Patch)
    assert refused.body["status"]["conditions"][-1]["reason"] == "VpcBfdPortNotEnabled"
    objects["Vpc"][0]["status"]["bfdPort"] = {"name": "bfd@ovn-cluster", "ip": "10.255.255.255"}
    timers = {
        version: [(s.logical_port, s.dst_ip, s.min_rx, s.min_tx) for s in rows(objects, version).sessions]
        for version in ("1.14", "1.17")
    }
    assert timers == {
        "1.14": [("bfd@ovn-cluster", "10.16.0.12", 100, 200)],
        "1.17": [("bfd@ovn-cluster", "10.16.0.12", 200, 100)],
    }
    drops = [p.match for p in rows(objects).policies if p.priority == 29090]
    assert drops == [f"ip{f}.src == $VEG.8ca38ae7da18{end}{f}" for f in (4, 6) for end in (".ipv", "_ip")]


def test_a_gateway_that_goes_loses_its_rows_before_its_finalizer(
    own: Callable[..., Any], gateway: Callable[..., Any]
) -> None:
    obj = served(gateway())
    obj["metadata"]["deletionTimestamp"] = NOW
    found = taken(own(obj))
    assert found.rows == Removal("default/gateway1", "ovn-cluster", "8ca38ae7da18")
    (change,) = found.changes
    assert isinstance(change, Patch)
    assert change.body["metadata"]["finalizers"] == []
