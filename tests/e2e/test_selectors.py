"""Selectors: which pods leave through a gateway, and how soon, as labels of pods and namespaces come and go."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.clients import Asking, await_running, client_pod, namespace_manifest, seen, subnet_manifest
from support.lab import Lab, eventually, gateway_manifest
from support.northbound import members, policies, port_group, routes

NAME = "chooser"
KEY = f"default/{NAME}"
NODES = "172.18."  # the addresses of nodes, under which a pod without a gateway leaves
SPACE = "selected-space"
PODS = {
    "default/picky": {"run": "picky"},
    f"{SPACE}/blue": {"color": "blue"},
    f"{SPACE}/green": {"color": "green", "tier": "web"},
    f"{SPACE}/plain": {},
    f"{SPACE}/afar": {},  # in another subnet of the VPC
}
EGRESS = {"podSelector": {"matchLabels": {"egress": "yes"}}}


@pytest.fixture(scope="module", autouse=True)
def pods(lab: Lab) -> Iterator[None]:
    lab.apply(namespace_manifest(SPACE), subnet_manifest("afar", "10.66.0.0/24"))
    eventually(lambda: lab.get("subnet", "afar").get("status", {}).get("conditions"), 20, "the subnet is there")
    for key, labels in PODS.items():
        namespace, _, name = key.partition("/")
        lab.apply(client_pod(name, namespace, labels, subnet="afar" if name == "afar" else ""))
    await_running(lab, *PODS)
    yield
    lab.kubectl("delete", "pod", "picky", "--ignore-not-found")
    lab.kubectl("delete", "namespace", SPACE)
    lab.kubectl("delete", "subnet", "afar")


@pytest.fixture(scope="module")
def addresses(lab: Lab) -> Iterator[list[str]]:
    """The external addresses of a ready gateway that selects pods with the label egress=yes, of which there are none.

    Its namespaces are those with the label space=open, none either.
    """
    in_open = {"namespaceSelector": {"matchLabels": {"space": "open"}}}
    lab.apply(gateway_manifest(NAME, replicas=2, policies=[], selectors=[EGRESS, in_open]))
    yield lab.ready(NAME, 2)["status"]["externalIPs"]
    lab.kubectl("delete", "veg", NAME, "--timeout=60s")
    assert members(lab, KEY) is None
    assert policies(lab, KEY) == {}


def leaves_through(lab: Lab, key: str, addresses: list[str], *, yes: bool = True) -> None:
    """Soon the server sees one of these addresses when the pod fetches; or, not `yes`, that of its node."""

    def as_wanted() -> bool:
        address = seen(lab, key)
        return address in addresses if yes else address.startswith(NODES)

    eventually(as_wanted, 3, f"{key} leaves through {addresses}: {yes}")


def test_a_policy_on_the_port_groups_address_set(lab: Lab, addresses: list[str]) -> None:  # noqa: ARG001  # ready
    nexthops = lab.gateway(NAME)["status"]["internalIPs"]
    assert policies(lab, KEY) == {f"ip4.src == ${port_group(KEY)}_ip4": sorted(nexthops)}
    assert members(lab, KEY) == set()


@pytest.mark.timed
def test_a_pod_that_gains_the_label_leaves_through_the_gateway_within_a_second(lab: Lab, addresses: list[str]) -> None:
    head = position(lab)
    with Asking(lab, "default/picky") as asking:
        eventually(lambda: asking.answers, 10, "it has an answer before")
        assert not {answer for _, answer in asking.answers} & set(addresses)
        lab.kubectl("label", "pod", "picky", "egress=yes")
        took_s = asking.until(addresses, 1.0)
        print(f"{took_s:.3f} s after kubectl had returned")
        assert members(lab, KEY) == {"default/picky"}

        lab.kubectl("label", "pod", "picky", "egress-")
        asking.steadily_not(addresses, 3)
    assert members(lab, KEY) == set()
    # Each change travelled as one pod, not as a membership.
    changes = [(change["added"], change["removed"]) for change in membership_commands(lab, head)]
    assert changes == [(["picky.default"], []), ([], ["picky.default"])]


def position(lab: Lab) -> int:
    return int(lab.sql("SELECT max(position) AS head FROM event")[0]["head"])


def membership_commands(lab: Lab, since: int) -> list[dict[str, Any]]:
    """What was sent about members because of events after that position; a whole membership fails the test."""
    rows = lab.sql(
        """
        SELECT type, data FROM command WHERE type LIKE 'veg.ovn.%%-members.v1'
          AND data->>'gateway' = %(gateway)s AND position > %(since)s ORDER BY position
        """,
        gateway=KEY,
        since=since,
    )
    assert {row["type"] for row in rows} <= {"veg.ovn.change-members.v1"}, rows
    return [{"added": [], "removed": []} | row["data"] for row in rows]


def test_a_namespace_that_gains_the_label_brings_all_its_pods(lab: Lab, addresses: list[str]) -> None:
    own = {key for key in PODS if key.startswith(SPACE)}
    lab.kubectl("label", "namespace", SPACE, "space=open")
    eventually(lambda: members(lab, KEY) == own, 5, "all its pods are in the port group")
    for key in own:
        leaves_through(lab, key, addresses)
    assert seen(lab, "default/picky") not in addresses

    # So does a pod that is made later.
    lab.apply(client_pod("later", SPACE))
    await_running(lab, f"{SPACE}/later")
    eventually(lambda: seen(lab, f"{SPACE}/later") in addresses, 3, "the new pod leaves through the gateway")
    lab.kubectl("delete", "pod", "-n", SPACE, "later")

    lab.kubectl("label", "namespace", SPACE, "space-")
    eventually(lambda: members(lab, KEY) == set(), 5, "none is in it any more")
    for key in own:
        leaves_through(lab, key, addresses, yes=False)


def test_a_pod_of_another_subnet_of_the_vpc_is_snated_too(lab: Lab, addresses: list[str]) -> None:
    lab.kubectl("label", "pod", "-n", SPACE, "afar", "egress=yes")
    eventually(lambda: seen(lab, f"{SPACE}/afar") in addresses, 3, "it leaves through the gateway")
    lab.kubectl("label", "pod", "-n", SPACE, "afar", "egress-")
    eventually(lambda: seen(lab, f"{SPACE}/afar").startswith(NODES), 3, "it leaves its usual way")


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ({"key": "color", "operator": "In", "values": ["blue", "red"]}, {"blue"}),
        ({"key": "color", "operator": "NotIn", "values": ["blue"]}, {"green", "plain", "afar"}),
        ({"key": "color", "operator": "Exists"}, {"blue", "green"}),
        ({"key": "color", "operator": "DoesNotExist"}, {"plain", "afar"}),
    ],
)
def test_match_expressions(lab: Lab, addresses: list[str], expression: dict[str, Any], names: set[str]) -> None:
    lab.kubectl("label", "namespace", SPACE, "expressions=yes", "--overwrite")
    selector = {
        "namespaceSelector": {"matchExpressions": [{"key": "expressions", "operator": "In", "values": ["yes"]}]},
        "podSelector": {"matchExpressions": [expression]},
    }
    lab.apply(gateway_manifest(NAME, replicas=2, policies=[], selectors=[selector]))
    wanted = {f"{SPACE}/{name}" for name in names}
    eventually(lambda: members(lab, KEY) == wanted, 5, f"{wanted} are selected")
    for key in (key for key in PODS if key.startswith(SPACE)):
        leaves_through(lab, key, addresses, yes=key in wanted)


@pytest.mark.parametrize(
    "selector",
    [{}, {"namespaceSelector": {}, "podSelector": {}}, {"podSelector": {}}, {"namespaceSelector": {}}],
    ids=["nil", "empty", "empty-pods", "empty-namespaces"],
)
def test_nil_and_empty_selectors_take_all_pods_but_gateways(
    lab: Lab, addresses: list[str], selector: dict[str, Any]
) -> None:
    lab.apply(gateway_manifest(NAME, replicas=2, policies=[], selectors=[selector]))
    lab.ready(NAME, 2)  # the cases select the same pods
    every = {key(pod) for pod in lab.get("pod", "-A")["items"]}
    gateways = {key(pod) for pod in lab.get("pod", "-A", "-l", "app=vpc-egress-gateway")["items"]}
    assert len(gateways) >= len(addresses)
    eventually(lambda: members(lab, KEY) == every - gateways, 5, "all pods but those of gateways are selected")
    assert seen(lab, "default/picky") in addresses


def key(pod: Any) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def test_several_selectors_are_a_union_and_stand_beside_policies(lab: Lab, addresses: list[str]) -> None:
    source = lab.get("pod", "picky")["status"]["podIP"]
    selectors = [
        {"podSelector": {"matchLabels": {"color": "blue"}}},
        {"podSelector": {"matchLabels": {"tier": "web"}}},
    ]
    both = [{"snat": True, "ipBlocks": [source]}]
    lab.apply(gateway_manifest(NAME, replicas=2, policies=both, selectors=selectors))
    eventually(lambda: members(lab, KEY) == {f"{SPACE}/blue", f"{SPACE}/green"}, 5, "the union is selected")
    lab.ready(NAME, 2)
    assert set(policies(lab, KEY)) == {f"ip4.src == {source}/32", f"ip4.src == ${port_group(KEY)}_ip4"}
    for name in ("default/picky", f"{SPACE}/blue", f"{SPACE}/green"):
        leaves_through(lab, name, addresses)
    assert seen(lab, f"{SPACE}/plain") not in addresses


def test_a_gateway_without_selectors_has_no_port_group(lab: Lab, addresses: list[str]) -> None:
    source = lab.get("pod", "picky")["status"]["podIP"]
    lab.apply(gateway_manifest(NAME, replicas=2, policies=[{"snat": True, "ipBlocks": [source]}]))
    eventually(lambda: members(lab, KEY) is None, 10, "the port group is gone")
    lab.ready(NAME, 2)
    assert set(policies(lab, KEY)) == {f"ip4.src == {source}/32"}
    eventually(lambda: seen(lab, f"{SPACE}/blue").startswith(NODES), 3, "a pod that was selected leaves its usual way")
    assert seen(lab, "default/picky") in addresses


CUSTOM = "vpc-chosen"


@pytest.fixture
def custom(lab: Lab) -> Iterator[str]:
    """A VPC with two subnets and three pods, and a gateway that selects by label."""
    vpc = {"apiVersion": "kubeovn.io/v1", "kind": "Vpc", "metadata": {"name": CUSTOM}}
    subnets = [subnet_manifest(f"chosen{number}", f"192.168.{80 + number}.0/24", vpc=CUSTOM) for number in (1, 2)]
    lab.apply(vpc, *subnets)
    eventually(lambda: lab.get("vpc", CUSTOM).get("status", {}).get("router"), 20, "the VPC has its router")
    lab.apply(
        client_pod("vpc-in", labels={"way": "out"}, subnet="chosen1"),
        client_pod("vpc-other", labels={"way": "out"}, subnet="chosen2"),
        client_pod("vpc-not", subnet="chosen1"),
    )
    select = [{"podSelector": {"matchLabels": {"way": "out"}}}]
    name = "custom-chooser"
    lab.apply(gateway_manifest(name, vpc=CUSTOM, internalSubnet="chosen1", policies=[], selectors=select))
    await_running(lab, "default/vpc-in", "default/vpc-other", "default/vpc-not")
    lab.ready(name, 1)
    yield name
    lab.kubectl("delete", "veg", name, "--timeout=60s")
    assert routes(lab, f"default/{name}") == set()
    lab.kubectl("delete", "pod", "vpc-in", "vpc-other", "vpc-not", "--ignore-not-found")
    lab.kubectl("delete", "subnet", "chosen1", "chosen2")
    lab.kubectl("delete", "vpc", CUSTOM)


@pytest.mark.timed
def test_selectors_in_a_custom_vpc(lab: Lab, custom: str) -> None:
    addresses = lab.gateway(custom)["status"]["externalIPs"]
    key = f"default/{custom}"
    assert members(lab, key) == {"default/vpc-in", "default/vpc-other"}
    for name in ("default/vpc-in", "default/vpc-other"):
        leaves_through(lab, name, addresses)
    assert seen(lab, "default/vpc-not") == "", "what is not selected has no way out of this VPC"

    with Asking(lab, "default/vpc-not") as asking:
        lab.kubectl("label", "pod", "vpc-not", "way=out")
        asking.until(addresses, 1.0)
        lab.kubectl("label", "pod", "vpc-not", "way-")
        asking.steadily_not(addresses, 3)

    other = lab.get("pod", "vpc-other")["status"]["podIP"]
    assert "1 received" in lab.exec("vpc-in", "ping", "-c", "1", "-W", "2", other), "inside the VPC nothing changes"
    assert "ttl=63" in lab.exec("vpc-in", "ping", "-c", "1", "-W", "2", other), "one router on the way, no gateway"
