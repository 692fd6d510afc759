"""Whatever a gateway depends on changes, goes, or comes later: it converges, says what it awaits, and can be deleted.

Tests of what is edited on a ready gateway share one of two replicas, `shifting`, that takes the client's traffic.
"""

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.clients import await_running, client_pod, seen, subnet_manifest
from support.lab import Lab, conditions, eventually, gateway_manifest
from support.northbound import owns_nothing, policies, routes
from support.traffic import unbroken_ping

NAME = "shifting"
KEY = f"default/{NAME}"
CLIENT = "default/mover"
# Another pod, whose traffic `shifting` does not take.
SECOND_CLIENT = "default/second"
NODE = "kube-ovn-worker"
# A second external network on the same wire, with its own router address at the host outside.
SECOND = {
    "apiVersion": "k8s.cni.cncf.io/v1",
    "kind": "NetworkAttachmentDefinition",
    "metadata": {"name": "second", "namespace": "default"},
    "spec": {
        "config": '{"cniVersion": "0.3.0", "type": "macvlan", "master": "eth1", "mode": "bridge", '
        '"ipam": {"type": "kube-ovn", "provider": "second.default"}}'
    },
}
SECOND_SUBNET = subnet_manifest("second", "172.29.0.0/16", provider="second.default", gateway="172.29.0.1")


@pytest.fixture(scope="module", autouse=True)
def source(lab: Lab) -> Iterator[str]:
    """The address of the client."""
    names = [key.rpartition("/")[2] for key in (CLIENT, SECOND_CLIENT)]
    lab.apply(*(client_pod(name) for name in names))
    await_running(lab, CLIENT, SECOND_CLIENT)
    yield lab.get("pod", names[0])["status"]["podIP"]
    lab.kubectl("delete", "pod", *names)


@pytest.fixture
def gone(lab: Lab) -> Iterator[Callable[..., None]]:
    """Creates gateways that are deleted afterwards, which always works and leaves nothing."""
    names: set[str] = set()

    def create(name: str, **spec: object) -> None:
        names.add(name)
        lab.apply(gateway_manifest(name, **spec))

    yield create
    for name in names:
        lab.kubectl("delete", "veg", name, "--ignore-not-found", "--timeout=60s")
        assert owns_nothing(lab, f"default/{name}")
        assert not lab.exists("deployment", name)


@pytest.fixture(scope="module")
def shifting(lab: Lab, source: str) -> Iterator[dict[str, Any]]:
    spec = {"replicas": 2, "policies": [{"snat": True, "ipBlocks": [source]}]}
    lab.apply(gateway_manifest(NAME, **spec))
    lab.ready(NAME, 2)
    yield spec
    lab.kubectl("delete", "veg", NAME, "--timeout=60s")
    assert owns_nothing(lab, KEY)


@pytest.fixture
def second_network(lab: Lab) -> Iterator[None]:
    outside = ["nsenter", f"--net=/run/netns/{lab.name}.ext", "ip", "address"]
    subprocess.run([*outside, "replace", "172.29.0.1/16", "dev", "eth0"], check=True)
    lab.apply(SECOND, SECOND_SUBNET)
    yield
    lab.kubectl("delete", "subnet", "second", "--ignore-not-found")
    lab.kubectl("delete", "net-attach-def", "second", "--ignore-not-found")
    subprocess.run([*outside, "del", "172.29.0.1/16", "dev", "eth0"], check=True)


def said(lab: Lab, name: str) -> str:
    return conditions(lab.gateway(name)).get("Ready", "")


def says(lab: Lab, name: str, text: str) -> None:
    eventually(lambda: text in said(lab, name), 20, f"{name} says {text!r}")


# What is edited, deleted or replaced on a ready gateway.


def edit(lab: Lab, shifting: dict[str, Any], **changes: object) -> Any:
    """Change the spec; the gateway's object once it is ready with it."""
    spec = shifting | changes
    lab.apply(gateway_manifest(NAME, **spec))
    return lab.ready(NAME, int(spec["replicas"]))


@pytest.mark.parametrize(
    "changes",
    [
        {"image": "localhost/veg/gw-agent:other"},
        {"resources": {"requests": {"cpu": "20m", "memory": "50Mi"}, "limits": {"memory": "130Mi"}}},
        {},
    ],
    ids=["image", "resources", "back"],
)
def test_a_rollout_is_not_felt(lab: Lab, shifting: dict[str, Any], changes: dict[str, Any]) -> None:
    before = {pod["metadata"]["uid"] for pod in lab.gateway_pods(NAME)}
    with unbroken_ping(lab, CLIENT):
        edit(lab, shifting, **changes)
    pods = lab.gateway_pods(NAME)
    assert not {pod["metadata"]["uid"] for pod in pods} & before
    (container,) = {repr((item["image"], item["resources"])) for pod in pods for item in pod["spec"]["containers"]}
    for value in changes.values():
        assert (value if isinstance(value, str) else repr(value["limits"])) in container


def test_another_external_subnet(lab: Lab, shifting: dict[str, Any], second_network: None) -> None:  # noqa: ARG001
    with unbroken_ping(lab, CLIENT):
        status = edit(lab, shifting, externalSubnet="second")["status"]
        assert all(address.startswith("172.29.0.") for address in status["externalIPs"]), status
        assert seen(lab, CLIENT) in status["externalIPs"]
        status = edit(lab, shifting)["status"]
    assert all(address.startswith("172.17.") for address in status["externalIPs"]), status
    assert seen(lab, CLIENT) in status["externalIPs"]


def test_another_internal_subnet(lab: Lab, shifting: dict[str, Any]) -> None:
    lab.apply(subnet_manifest("inner", "10.67.0.0/24"))
    with unbroken_ping(lab, CLIENT):
        status = edit(lab, shifting, internalSubnet="inner")["status"]
        assert all(address.startswith("10.67.0.") for address in status["internalIPs"]), status
        assert seen(lab, CLIENT) in status["externalIPs"]
        status = edit(lab, shifting)["status"]
    assert all(address.startswith("10.16.") for address in status["internalIPs"]), status
    assert seen(lab, CLIENT) in status["externalIPs"]
    lab.kubectl("delete", "subnet", "inner")


def test_a_deleted_gateway_pod_is_replaced(lab: Lab, shifting: dict[str, Any], source: str) -> None:  # noqa: ARG001
    victim = lab.gateway_pods(NAME)[0]
    with unbroken_ping(lab, CLIENT):
        lab.kubectl("delete", "pod", victim["metadata"]["name"], "--wait=false")

        def swapped() -> bool:
            addresses = sorted(pod["status"].get("podIP", "") for pod in lab.gateway_pods(NAME))
            return victim["status"]["podIP"] not in addresses and policies(lab, KEY) == {
                f"ip4.src == {source}/32": addresses
            }

        eventually(swapped, 30, "the new pod is the nexthop in the place of the old one")
    lab.ready(NAME, 2)


def test_snat_goes_and_comes_back_under_traffic(lab: Lab, shifting: dict[str, Any], source: str) -> None:
    status = lab.gateway(NAME)["status"]
    outside = ["nsenter", f"--net=/run/netns/{lab.name}.ext", "ip", "route"]
    # The answers to an address that is not translated need a way back: by one of the gateways.
    subprocess.run([*outside, "replace", source, "via", status["externalIPs"][0]], check=True)
    uids = {pod["metadata"]["uid"] for pod in lab.gateway_pods(NAME)}
    try:
        with unbroken_ping(lab, CLIENT):
            for snat in (False, True, False, True):
                edit(lab, shifting, policies=[{"snat": snat, "ipBlocks": [source]}])
                assert seen(lab, CLIENT) in (status["externalIPs"] if snat else [source])
    finally:
        subprocess.run([*outside, "del", source], check=True)
    assert {pod["metadata"]["uid"] for pod in lab.gateway_pods(NAME)} == uids


def test_no_replicas_and_back(lab: Lab, shifting: dict[str, Any]) -> None:
    status = edit(lab, shifting, replicas=0)["status"]
    assert (status["phase"], status["replicas"], status.get("internalIPs", [])) == ("Completed", 0, [])
    assert owns_nothing(lab, KEY)
    eventually(lambda: not lab.gateway_pods(NAME), 20, "no pod is left")
    assert seen(lab, CLIENT).startswith("172.18."), "it leaves by its node, as if there were no gateway"
    status = edit(lab, shifting)["status"]
    eventually(lambda: seen(lab, CLIENT) in status["externalIPs"], 5, "it leaves through the gateway again")


def test_a_deployment_edited_or_deleted_by_hand(lab: Lab, shifting: dict[str, Any]) -> None:  # noqa: ARG001  # ready
    wanted = lab.get("deployment", NAME)["spec"]
    patch = '{"spec":{"replicas":3,"template":{"spec":{"terminationGracePeriodSeconds":1}}}}'
    lab.kubectl("patch", "deployment", NAME, "--type=merge", "-p", patch)
    eventually(lambda: lab.get("deployment", NAME)["spec"] == wanted, 30, "the Deployment is as it was")
    lab.ready(NAME, 2)

    uid = lab.get("deployment", NAME)["metadata"]["uid"]
    lab.kubectl("delete", "deployment", NAME)

    def again() -> bool:
        found = lab.get("deployment", NAME)
        return bool(found["metadata"]["uid"] != uid and found["spec"] == wanted)

    eventually(again, 30, "there is a Deployment again")
    status = lab.ready(NAME, 2)["status"]
    eventually(lambda: seen(lab, CLIENT) in status["externalIPs"], 5, "it leaves through the gateway")


def test_a_finalizer_removed_by_hand_is_put_back(lab: Lab, shifting: dict[str, Any]) -> None:  # noqa: ARG001  # ready
    lab.kubectl("patch", "veg", NAME, "--type=merge", "-p", '{"metadata":{"finalizers":[]}}')
    eventually(lambda: lab.gateway(NAME)["metadata"].get("finalizers"), 20, "the finalizer is there again")


# What comes later than the gateway, or goes before it.


def test_a_subnet_that_comes_later_and_changes(lab: Lab, gone: Callable[..., None]) -> None:
    gone("early", policies=[{"snat": True, "subnets": ["late"]}])
    says(lab, "early", 'spec.policies[0].subnets: Subnet "late" does not exist')
    lab.apply(subnet_manifest("late", "10.68.0.0/24"))
    nexthops = lab.ready("early", 1)["status"]["internalIPs"]
    assert policies(lab, "default/early") == {"ip4.src == 10.68.0.0/24": nexthops}

    lab.apply(subnet_manifest("late", "10.68.0.0/23"))
    eventually(
        lambda: policies(lab, "default/early") == {"ip4.src == 10.68.0.0/23": nexthops}, 20, "as the CIDR is now"
    )
    lab.ready("early", 1)

    # One that Kube-OVN does not accept (it overlaps another) is not acted on, and named.
    lab.apply(subnet_manifest("late", "10.16.0.0/16"))
    says(lab, "early", 'Subnet "late" is not validated by Kube-OVN (condition Validated)')
    lab.kubectl("delete", "subnet", "late", "--wait=false")
    says(lab, "early", 'spec.policies[0].subnets: Subnet "late" does not exist')


def test_another_gateway_address_of_the_external_subnet(
    lab: Lab,
    gone: Callable[..., None],
    second_network: None,  # noqa: ARG001  # the network
) -> None:
    address = lab.get("pod", "second")["status"]["podIP"]
    gone("rerouted", externalSubnet="second", policies=[{"snat": True, "ipBlocks": [address]}])
    lab.ready("rerouted", 1)
    outside = ["nsenter", f"--net=/run/netns/{lab.name}.ext", "ip", "address"]
    subprocess.run([*outside, "replace", "172.29.0.2/16", "dev", "eth0"], check=True)
    lab.apply(subnet_manifest("second", "172.29.0.0/16", provider="second.default", gateway="172.29.0.2"))
    eventually(lambda: "default via 172.29.0.2 dev net1" in inner_routes(lab, "rerouted"), 30, "the pods know it")
    status = lab.ready("rerouted", 1)["status"]
    assert seen(lab, SECOND_CLIENT) in status["externalIPs"]
    subprocess.run([*outside, "del", "172.29.0.2/16", "dev", "eth0"], check=True)


def test_another_gateway_address_of_the_internal_subnet(lab: Lab, gone: Callable[..., None]) -> None:
    address = lab.get("pod", "second")["status"]["podIP"]
    lab.apply(subnet_manifest("within", "10.69.0.0/24"))
    gone("regated", internalSubnet="within", policies=[{"snat": True, "ipBlocks": [address]}])
    lab.ready("regated", 1)
    (pod,) = lab.gateway_pods("regated")
    assert f"{address} via 10.69.0.1 dev eth0" in inner_routes(lab, "regated")
    lab.apply(subnet_manifest("within", "10.69.0.0/24", gateway="10.69.0.254"))
    # The pod's own way to the bus is in its template: another pod comes (decision 0020).
    old = pod["metadata"]["uid"]
    eventually(lambda: old not in [each["metadata"]["uid"] for each in lab.gateway_pods("regated")], 60, "another pod")
    status = lab.ready("regated", 1)["status"]
    eventually(lambda: f"{address} via 10.69.0.254 dev eth0" in inner_routes(lab, "regated"), 20, "the way back is new")
    eventually(lambda: seen(lab, SECOND_CLIENT) in status["externalIPs"], 5, "it leaves through the gateway")
    lab.kubectl("delete", "veg", "regated", "--timeout=60s")
    lab.kubectl("delete", "subnet", "within")


def inner_routes(lab: Lab, gateway: str) -> str:
    """The routes in the pods of a gateway."""
    names = [pod["metadata"]["name"] for pod in lab.gateway_pods(gateway)]
    return "\n".join(lab.exec(name, "ip", "route", container="gateway") for name in names)


def test_an_attachment_that_goes_and_comes_back(
    lab: Lab,
    gone: Callable[..., None],
    second_network: None,  # noqa: ARG001  # the network
) -> None:
    address = lab.get("pod", "second")["status"]["podIP"]
    gone("attached", externalSubnet="second", policies=[{"snat": True, "ipBlocks": [address]}])
    addresses = lab.ready("attached", 1)["status"]["externalIPs"]
    eventually(lambda: seen(lab, SECOND_CLIENT) in addresses, 5, "it leaves through the gateway")
    lab.kubectl("delete", "net-attach-def", "second")
    says(lab, "attached", 'NetworkAttachmentDefinition "default/second" (provider of Subnet "second") does not exist')
    assert seen(lab, SECOND_CLIENT) in addresses, "what works goes on"
    lab.apply(SECOND)
    lab.ready("attached", 1)
    # It goes for good before the gateway does: that does not keep the gateway from being deleted.
    lab.kubectl("delete", "net-attach-def", "second")
    lab.kubectl("delete", "subnet", "second", "--wait=false")


def test_a_pool_that_comes_later(lab: Lab, gone: Callable[..., None]) -> None:
    gone("pooled", externalIPPool="late-pool", policies=[{"snat": True, "ipBlocks": ["10.92.0.0/24"]}])
    says(lab, "pooled", 'spec.externalIPPool: IPPool "late-pool" does not exist')
    pool = {
        "apiVersion": "kubeovn.io/v1",
        "kind": "IPPool",
        "metadata": {"name": "late-pool"},
        "spec": {"subnet": "macvlan1", "ips": ["172.17.55.1..172.17.55.9"]},
    }
    lab.apply(pool)
    (address,) = lab.ready("pooled", 1)["status"]["externalIPs"]
    assert address.startswith("172.17.55.")
    lab.kubectl("delete", "ippool", "late-pool")
    says(lab, "pooled", 'spec.externalIPPool: IPPool "late-pool" does not exist')
    assert policies(lab, "default/pooled"), "the last good rows stay"


def test_a_node_that_gains_the_label(lab: Lab, gone: Callable[..., None]) -> None:
    selector = [{"matchLabels": {"egress-node": "yes"}}]
    gone("homeless", nodeSelector=selector, policies=[{"snat": True, "ipBlocks": ["10.92.0.0/24"]}])
    says(lab, "homeless", "(phase Pending, node none)")
    lab.kubectl("label", "node", NODE, "egress-node=yes")
    assert lab.ready("homeless", 1)["status"]["workload"]["nodes"] == [NODE]
    lab.kubectl("label", "node", NODE, "egress-node-")
    # Where pods may be, changed on a running gateway: they move.
    other = "kube-ovn-worker2"
    gone(
        "homeless",
        nodeSelector=[{"matchLabels": {"kubernetes.io/hostname": other}}],
        policies=[{"snat": True, "ipBlocks": ["10.92.0.0/24"]}],
    )
    assert lab.ready("homeless", 1)["status"]["workload"]["nodes"] == [other]


def test_a_router_deleted_by_hand_before_the_gateway(lab: Lab) -> None:
    vpc = {"apiVersion": "kubeovn.io/v1", "kind": "Vpc", "metadata": {"name": "doomed"}}
    lab.apply(vpc, subnet_manifest("doomed", "192.168.90.0/24", vpc="doomed"))
    lab.apply(
        gateway_manifest(
            "orphan", vpc="doomed", internalSubnet="doomed", policies=[{"snat": True, "ipBlocks": ["192.168.90.0/24"]}]
        )
    )
    nexthops = lab.ready("orphan", 1)["status"]["internalIPs"]
    assert routes(lab, "default/orphan") == {("192.168.90.0/24", nexthops[0])}
    lab.nbctl("lr-del", "doomed")
    lab.kubectl("delete", "veg", "orphan", "--timeout=60s")
    assert owns_nothing(lab, "default/orphan")
    lab.kubectl("delete", "subnet", "doomed")
    lab.kubectl("delete", "vpc", "doomed")


def test_a_gateway_that_vanishes_without_waiting_leaves_nothing(lab: Lab) -> None:
    lab.apply(gateway_manifest("hasty", policies=[{"snat": True, "ipBlocks": ["10.92.0.0/24"]}]))
    lab.ready("hasty", 1)
    lab.call("stop", "kube-writer")  # or it would put the finalizer back in between
    lab.kubectl("patch", "veg", "hasty", "--type=merge", "-p", '{"metadata":{"finalizers":[]}}')
    lab.kubectl("delete", "veg", "hasty", "--timeout=20s")
    lab.call("start", "kube-writer")
    eventually(lambda: owns_nothing(lab, "default/hasty"), 30, "no row of it is left")
    eventually(lambda: not lab.exists("deployment", "hasty"), 30, "nor its Deployment")


def test_deleted_while_the_api_server_restarts(lab: Lab) -> None:
    lab.apply(gateway_manifest("unlucky", policies=[{"snat": True, "ipBlocks": ["10.92.0.0/24"]}]))
    lab.ready("unlucky", 1)
    lab.kubectl("delete", "veg", "unlucky", "--wait=false")
    lab.call("kill", "kube-apiserver")
    lab.call("start", "kube-apiserver")
    eventually(lambda: not lab.exists("veg", "unlucky"), 60, "it is gone")
    assert owns_nothing(lab, "default/unlucky")
    eventually(
        lambda: not lab.exists("deployment,pod", "-l", "ovn.kubernetes.io/vpc-egress-gateway=unlucky"), 30, "all"
    )
