"""Beside Kube-OVN as it is, one lab for each version that the support matrix calls tried (docs/support-matrix.md).

Its own gateways, its own src-ip routes, what it deletes at each reconcile and at a restart: nothing of it may cost our
sources a connection, and nothing that we do may touch a row of its own. The lab's stand-in does what the real
controllers did (`lab/veg_lab/mini_kube_ovn/behaviours.py`).
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import traffic
from support import bfd
from support.beside import KUBE_OVN_GROUP, OWN_GROUP, WORLDS, World, ask_for_port, ours
from support.clients import await_running, client_pod
from support.foreseen import blockers, findings, preflight
from support.kills import LinkDown
from support.lab import Lab, conditions, eventually
from support.northbound import members, policies, routes, table
from support.vpcs import egress, fetch, subnet, vpc

from veg_lab.services import MANAGEMENT_NETWORK
from vegctl.preflight.findings import Verdict

PEER = "10.255.255.255"
CONNECTIONS = 24
WITHIN_S = 1.0
FAST = {"enabled": True, "minRX": 100, "minTX": 100}
THEIRS = "theirs"
THEIR_FINALIZER = "kubeovn.io/kube-ovn-controller"
_ROWS = ("Logical_Router_Policy", "BFD", "Port_Group", "Address_Set")
own_gateways = pytest.mark.parametrize(
    "world", [world for world in WORLDS.values() if world.own_gateways], ids=str, indirect=True, scope="module"
)


@pytest.fixture(scope="module", params=WORLDS.values(), ids=str)
def world(request: pytest.FixtureRequest) -> World:
    found: World = request.param
    return found


@pytest.fixture(scope="module")
def bare(world: World) -> Iterator[Lab]:
    """A lab beside that Kube-OVN, before our services are there."""
    lab = Lab("beside", **world.settings)
    lab.call("down", timeout_s=120)
    lab.call("up", "--infra", timeout_s=1200)
    try:
        yield lab
    finally:
        lab.call("down", timeout_s=120)


@pytest.fixture(scope="module")
def foreseen(bare: Lab) -> dict[str, Any]:
    """What preflight said then, with no setting given."""
    return preflight(bare)


@pytest.fixture(scope="module")
def beside(bare: Lab, world: World, foreseen: dict[str, Any]) -> Lab:
    """With our services, and the reference's examples, ready: gateway1, and gateway2 with BFD in vpc1."""
    assert foreseen["exit_code"] != Verdict.DOES_NOT_WORK
    lab = bare
    lab.call("up", timeout_s=1200)
    lab.apply(
        client_pod("client"),
        ours(world, "gateway1", externalSubnet="macvlan1", replicas=1, policies=snat(subnets=["ovn-default"])),
    )
    lab.apply(vpc("vpc1"), subnet("subnet1", "IPv4", "192.168.0.0/24", vpc="vpc1"), client_pod("one", subnet="subnet1"))
    ask_for_port(lab, world, "vpc1", PEER)
    spec = {"vpc": "vpc1", "internalSubnet": "subnet1", "bfd": FAST}
    lab.apply(
        ours(
            world,
            "gateway2",
            externalSubnet="macvlan1",
            replicas=2,
            policies=snat(ipBlocks=["192.168.0.0/24"]),
            **spec,
        )
    )
    await_running(lab, "default/client", "default/one")
    lab.ready("gateway1", 1)
    lab.ready("gateway2", 2)
    return lab


def snat(**sources: object) -> list[dict[str, object]]:
    return [{"snat": True, **sources}]


def external(lab: Lab, name: str) -> set[str]:
    return set(lab.gateway(name)["status"]["externalIPs"])


def seen(lab: Lab, pod: str) -> list[str]:
    """Whom the external server saw, one fresh connection after the other; "" where there was no answer."""
    return [fetch(lab, pod) for _ in range(CONNECTIONS)]


def test_the_references_examples_carry_every_connection(beside: Lab) -> None:
    assert set(seen(beside, "client")) == external(beside, "gateway1")
    assert set(seen(beside, "one")) <= external(beside, "gateway2")


def test_preflight_foresaw_the_settings_with_which_the_examples_are_ready(
    beside: Lab, world: World, foreseen: dict[str, Any]
) -> None:
    settings = foreseen["settings"]
    assert settings["VEG_API_GROUP"] == world.group
    assert settings["VEG_BFD_RELAY"] == ("on" if world.own_gateways else "auto")
    assert (settings["VEG_CUSTOM_VPC_ROUTING"], settings["VEG_MANAGE_BFD_PORTS"]) == ("auto", "auto")
    assert bool(findings(foreseen, "kube-ovn.deletes")) is world.deletes
    (version,) = findings(foreseen, "kube-ovn.version", "ok")
    assert f"version {world.version}." in version
    (port,) = findings(foreseen, "kube-ovn.bfd-port", "ok")
    assert ("annotation" in port) is world.by_routes
    now = preflight(beside, "--vpc", "vpc1", VEG_MANAGEMENT_NETWORK=MANAGEMENT_NETWORK)
    assert now["settings"] == settings | {"VEG_MANAGEMENT_NETWORK": MANAGEMENT_NETWORK}
    assert blockers(now) == set()
    assert bool(findings(now, "ovn.src-ip", "ok")) is not world.by_routes


def test_preflight_says_what_does_not_work_and_it_does_not(beside: Lab, world: World) -> None:
    """Without a management network a custom VPC has no way to the bus; with routes alone no way to its gateway."""
    assert blockers(preflight(beside, "--vpc", "vpc1", VEG_MANAGEMENT_NETWORK="default/none")) == {"vpc.bus"}
    wrong = {"VEG_CUSTOM_VPC_ROUTING": "static-route"}
    said = blockers(preflight(beside, VEG_MANAGEMENT_NETWORK=MANAGEMENT_NETWORK, **wrong))
    assert said == (set() if world.by_routes else {"ovn.src-ip"})
    if world.by_routes:
        return
    other = Lab(beside.name, **beside.settings, **wrong)
    other.call("restart", "planner")
    try:
        eventually(lambda: "has no route" in conditions(beside.gateway("gateway2"))["Ready"], 60, "the status says so")
    finally:
        beside.call("restart", "planner")
    eventually(lambda: "has no route" not in conditions(beside.gateway("gateway2"))["Ready"], 60, "it is as before")
    beside.ready("gateway2", 2)


def test_k3_a_custom_vpc_never_shares_an_ecmp_group_with_kube_ovn(beside: Lab, world: World) -> None:
    rows = table(beside, "Logical_Router_Static_Route", "ip_prefix", "policy", "route_table", "nexthop", "external_ids")
    group = [row for row in rows if row["ip_prefix"] == "192.168.0.0/24" and not row["route_table"]]
    mine = [row for row in group if "vpc-egress-gateway.io/owner" in row["external_ids"]]
    if world.by_routes:
        assert len(mine) == len(group) == 2
        return
    assert (len(mine), len(group)) == (0, 1)
    policies = table(beside, "Logical_Router_Policy", "priority", "match", "nexthops")
    (policy,) = [row for row in policies if row["priority"] == 29100 and "192.168.0.0/24" in row["match"]]
    assert len(policy["nexthops"]) == 2
    assert "192.168.0.0/24" in conditions(beside.gateway("gateway2"))["Ready"], "the status says why"


def test_k7_a_bfd_port_is_asked_for_by_annotation_where_there_is_no_field(beside: Lab, world: World) -> None:
    assert set(bfd.sessions(beside, "default/gateway2").values()) == {"up"}
    if world.by_routes:
        with pytest.raises(AssertionError, match="bfdPort"):
            beside.apply(vpc("strict") | {"spec": {"bfdPort": {"enabled": True, "ip": PEER}}})


@pytest.fixture
def theirs(beside: Lab) -> Iterator[str]:
    """A gateway of Kube-OVN's own, in its own API group."""
    beside.apply(egress(THEIRS, replicas=1, externalSubnet="macvlan1", policies=snat(ipBlocks=["10.16.250.0/24"])))
    kind = f"vpc-egress-gateways.{KUBE_OVN_GROUP}"
    eventually(lambda: beside.get(kind, THEIRS)["status"]["ready"], 60, "Kube-OVN's gateway is ready")
    yield THEIRS
    beside.kubectl("delete", kind, THEIRS, "--timeout=60s")


def rows_of_theirs(lab: Lab) -> dict[str, list[dict[str, Any]]]:
    """All rows of Kube-OVN's own gateways, whole but for the status that OVN writes."""
    found = {}
    for name in _ROWS:
        rows = [row for row in table(lab, name) if row["external_ids"].get("vpc-egress-gateway") == f"default/{THEIRS}"]
        theirs = [row for row in rows if "vpc-egress-gateway.io/owner" not in row["external_ids"]]
        kept = [{key: value for key, value in row.items() if key != "status"} for row in theirs]
        found[name] = sorted(kept, key=lambda row: str(row["_uuid"]))
    return found


@own_gateways
@pytest.mark.usefixtures("theirs")
def test_k2_gateways_of_kube_ovn_are_left_alone(beside: Lab, world: World) -> None:
    before = rows_of_theirs(beside)
    assert before["Logical_Router_Policy"]
    assert before["Address_Set"]
    beside.apply(
        ours(world, "brief", externalSubnet="macvlan1", replicas=1, policies=snat(ipBlocks=["10.16.251.0/24"]))
    )
    beside.ready("brief", 1)
    for service in ("ovn-writer", "planner"):
        beside.call("kill", service)
        beside.call("start", service)
    beside.kubectl("scale", beside.kind, "gateway1", "--replicas=2")
    beside.ready("gateway1", 2)
    beside.kubectl("delete", beside.kind, "brief", "--timeout=60s")
    beside.kubectl("scale", beside.kind, "gateway1", "--replicas=1")
    beside.ready("gateway1", 1)
    assert rows_of_theirs(beside) == before


def test_k6_what_each_reconcile_deletes_is_repaired_and_in_the_status(beside: Lab, world: World) -> None:
    def rows() -> object:
        return policies(beside, "default/gateway2"), routes(beside, "default/gateway2")

    before = rows()
    for number in range(3):
        beside.kubectl("annotate", "vpc", "vpc1", f"touched={number}", "--overwrite")
        beside.kubectl("label", "vpc", "vpc1", f"touched={number}", "--overwrite")
        time.sleep(0.5)
        eventually(lambda: rows() == before, 10, "the rows are there again")
    stable = conditions(beside.gateway("gateway2")).get("Stable", "")
    if not world.deletes:
        assert stable == ""
        return
    stable = eventually(lambda: conditions(beside.gateway("gateway2")).get("Stable", ""), 10, "the status says so")
    assert "RepairedRepeatedly" in stable
    assert ("Static_Route" if world.by_routes else "Policy") in stable


def test_what_a_restart_of_kube_ovn_deletes_is_repaired(beside: Lab, world: World) -> None:
    label = {"egress": "selected"}
    selectors = [{"podSelector": {"matchLabels": label}}]
    beside.apply(client_pod("selected", labels=label, subnet="ovn-default"))
    beside.apply(ours(world, "selecting", externalSubnet="macvlan1", replicas=1, selectors=selectors))
    await_running(beside, "default/selected")
    beside.ready("selecting", 1)
    assert set(seen(beside, "selected")) == external(beside, "selecting")
    beside.call("kill", "mini-kube-ovn")
    beside.call("start", "mini-kube-ovn")
    eventually(
        lambda: members(beside, "default/selecting") == {"default/selected"}, 20, "its port group is there again"
    )
    eventually(lambda: fetch(beside, "selected") in external(beside, "selecting"), 10, "it leaves by its gateway")
    # The stub switch of the BFD port went, too.
    eventually(lambda: set(bfd.sessions(beside, "default/gateway2").values()) == {"up"}, 20, "all sessions are up")
    beside.ready("gateway2", 2)
    beside.kubectl("delete", beside.kind, "selecting", "--timeout=60s")
    beside.kubectl("delete", "pod", "selected")


@pytest.mark.timed
def test_a_failover_and_a_drain(beside: Lab, tmp_path: Path) -> None:
    """At 100 ms x 3 traffic is out for less than a second, and a pod that leaves on purpose loses no ping."""
    key = traffic.Flow("one", "4")
    with traffic.running(beside.name, {"one": "default/one"}, tmp_path, ("172.17.0.1",)) as found:
        first = eventually(lambda: source(found, key), 10, "the client is answered")
        victim = pod_of(beside, first)
        began = time.time()
        kill = LinkDown(beside, victim)
        kill.do()
        time.sleep(2)
        found.look()
        outage_s, _ = found.outage(key, began, time.time() - 0.2)
        kill.undo()
        print(f"out for {outage_s * 1000:.0f} ms")
        assert found.sources[key] in external(beside, "gateway2") - {first}
        assert outage_s < WITHIN_S
    beside.ready("gateway2", 2)
    with traffic.running(beside.name, {"one": "default/one"}, tmp_path, ("172.17.0.1",)) as found:
        serving = pod_of(beside, eventually(lambda: source(found, key), 10, "the client is answered"))
        beside.kubectl("delete", "pod", serving, "--wait=false")
        eventually(lambda: serving not in names(beside) and len(names(beside)) == 2, 60, "it is replaced")
        beside.ready("gateway2", 2)
        time.sleep(1)
    found.look()
    assert found.lost() == {}


def source(found: traffic.Traffic, key: traffic.Flow) -> str:
    found.look()
    return found.sources.get(key, "")


def names(lab: Lab) -> set[str]:
    return {item["metadata"]["name"] for item in lab.gateway_pods("gateway2")}


def pod_of(lab: Lab, address: str) -> str:
    """The gateway pod with that external address."""
    key = "k8s.v1.cni.cncf.io/network-status"
    found = [pod for pod in lab.gateway_pods("gateway2") if f'"{address}"' in pod["metadata"]["annotations"][key]]
    name: str = found[0]["metadata"]["name"]
    return name


def finalizers(lab: Lab, name: str) -> list[str]:
    found: list[str] = lab.gateway(name)["metadata"].get("finalizers", [])
    return found


@pytest.fixture(scope="module")
def contested() -> Iterator[Lab]:
    """Our services in Kube-OVN's own API group, where its reconciler runs."""
    lab = Lab("contested", VEG_LAB_KUBE_OVN="1.17", VEG_API_GROUP=KUBE_OVN_GROUP)
    lab.call("down", timeout_s=120)
    lab.call("up", timeout_s=1200)
    yield lab
    lab.call("down", timeout_s=120)


def test_k4_gateways_that_kube_ovn_reconciles_are_left_to_it(contested: Lab) -> None:
    lab = contested
    foreseen = preflight(lab, VEG_API_GROUP=KUBE_OVN_GROUP)
    assert "kube-ovn.gateways" in blockers(foreseen)
    assert foreseen["settings"]["VEG_API_GROUP"] == OWN_GROUP
    names = [THEIRS, "second"]
    for number, name in enumerate(names):
        lab.apply(
            egress(name, replicas=1, externalSubnet="macvlan1", policies=snat(ipBlocks=[f"10.16.25{number}.0/24"]))
        )

    def said(name: str) -> bool:
        found = lab.gateway(name)
        assert found["status"]["ready"], "Kube-OVN serves it"
        text = conditions(found)["Conflict"]
        return "OtherReconciler" in text and f"set VEG_API_GROUP={OWN_GROUP}" in text

    for name in names:
        eventually(lambda name=name: said(name), 60, f"{name} is Kube-OVN's, and says so")  # type: ignore[misc]
        # Our first write is a finalizer; it is withdrawn when the object comes back with a mark of somebody else.
        eventually(lambda name=name: finalizers(lab, name) == [THEIR_FINALIZER], 20, "ours is gone")  # type: ignore[misc]
        managers = {
            entry["manager"]
            for entry in lab.get("deployment", name, "--show-managed-fields")["metadata"]["managedFields"]
        }
        assert "vpc-egress-gateway" not in managers, "we wrote nothing there"
    for kind in ("Logical_Router_Policy", "Port_Group", "BFD"):
        ids = [row["external_ids"] for row in table(lab, kind, "external_ids")]
        assert not [each for each in ids if "vpc-egress-gateway.io/owner" in each]
    lab.kubectl("delete", lab.kind, *names, "--timeout=60s")
