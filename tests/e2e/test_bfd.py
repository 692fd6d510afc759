"""BFD as the document shows it: its example, the port of a Vpc, live timers, and a session that flaps.

The tests of gateway2 stand on each other, in this order.
"""

import json
import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from support import bfd
from support.kills import SpeakerKilled
from support.lab import EXAMPLES, Lab, conditions, eventually
from support.northbound import policies, table
from support.vpcs import egress, route_list, vpc

EXAMPLE = list(yaml.safe_load_all((EXAMPLES / "gateway2-bfd.yaml").read_text()))
PEER = "10.255.255.255"
PORT = "bfd@vpc1"
NODES = ["kube-ovn-control-plane", "kube-ovn-worker", "kube-ovn-worker2"]


@pytest.fixture(scope="module")
def gateway2(lab: Lab) -> Iterator[list[str]]:
    """The document's example as it stands; the names of its two pods."""
    lab.apply(*EXAMPLE)
    lab.ready("gateway2", 2)
    yield [pod["metadata"]["name"] for pod in lab.gateway_pods("gateway2")]
    lab.kubectl("delete", "veg", "gateway2", "--timeout=90s")
    lab.kubectl("delete", "subnet", "subnet1")
    lab.kubectl("delete", "vpc", "vpc1")
    eventually(lambda: "vpc1" not in lab.nbctl("lr-list"), 10, "the router is gone")
    eventually(lambda: table(lab, "HA_Chassis_Group", "name", condition=f'name="{PORT}"') == [], 10, "and its group")


def internal_ips(lab: Lab) -> list[str]:
    return sorted(lab.gateway("gateway2")["status"]["internalIPs"])


# The document's commands, in its order.


@pytest.mark.usefixtures("gateway2")
def test_nbctl_show_has_the_port(lab: Lab) -> None:
    shown = lab.nbctl("show", "vpc1")
    found = dict(re.findall(r"port (\S+)\n(?: {8}(?!networks).*\n)* {8}networks: (.*)", shown))
    assert found == {PORT: f'["{PEER}"]', "vpc1-subnet1": '["192.168.0.1/24"]'}


@pytest.mark.usefixtures("gateway2")
def test_the_status_of_the_vpc_and_its_group(lab: Lab) -> None:
    assert bfd.status(lab, "vpc1") == {"name": PORT, "ip": PEER, "nodes": NODES}
    (group,) = table(lab, "HA_Chassis_Group", "name", "ha_chassis", condition=f'name="{PORT}"')
    (port,) = table(lab, "Logical_Router_Port", "ha_chassis_group", "options", condition=f'name="{PORT}"')
    (named,) = table(lab, "HA_Chassis_Group", "_uuid", condition=f'name="{PORT}"')
    assert group["ha_chassis"]
    assert port["ha_chassis_group"] == named["_uuid"]
    assert port["options"]["bfd-only"] == "true"


@pytest.mark.usefixtures("gateway2")
def test_get_veg_shows_that_bfd_is_on(lab: Lab) -> None:
    header, row = (
        re.split(r" {2,}", line) for line in lab.kubectl("get", "veg", "gateway2", "-o", "wide").splitlines()
    )
    shown = dict(zip(header, row, strict=True))
    assert shown["BFD ENABLED"] == "true"
    assert shown["READY"] == "true"
    assert json.loads(shown["INTERNAL IPS"]) == internal_ips(lab)


@pytest.mark.usefixtures("gateway2")
def test_the_route_list_is_the_documents(lab: Lab) -> None:
    first, second = internal_ips(lab)
    assert sorted(route_list(lab, "vpc1")) == [
        ["192.168.0.0/24", first, "src-ip", "ecmp", "ecmp-symmetric-reply", "bfd"],
        ["192.168.0.0/24", second, "src-ip", "ecmp", "ecmp-symmetric-reply", "bfd"],
    ]


@pytest.mark.usefixtures("gateway2")
def test_list_bfd_is_the_documents(lab: Lab) -> None:
    """And one key more: by the two that the document shows, Kube-OVN would take them for its own."""
    owner = '"vpc-egress-gateway.io/owner"="default/gateway2"'
    rows = lab.nbctl("find", "bfd", 'external_ids:vpc-egress-gateway="default/gateway2"').strip().split("\n\n")
    wanted = [
        [
            "detect_mult         : 3",
            f'dst_ip              : "{ip}"',
            f'external_ids        : {{af="4", vendor=kube-ovn, vpc-egress-gateway="default/gateway2", {owner}}}',
            f'logical_port        : "{PORT}"',
            "min_rx              : 1000",
            "min_tx              : 1000",
            "options             : {}",
            "status              : up",
        ]
        for ip in internal_ips(lab)
    ]
    assert sorted((row.splitlines()[1:] for row in rows), key=lambda lines: lines[1]) == wanted


def test_bfdd_control_prints_the_documents_status(lab: Lab, gateway2: list[str]) -> None:
    for pod in gateway2:
        ip = lab.get("pod", pod)["status"]["podIP"]
        assert lab.exec(pod, "bfdd-control", "status", container="bfdd") == (
            f"There are 1 sessions:\nSession 1\n id=1 local={ip} (p) remote={PEER} state=Up\n"
        )


# Changes of a live gateway.


def alive(lab: Lab) -> dict[str, list[int]]:
    """Uid of each pod -> how often its containers were restarted."""
    return {
        pod["metadata"]["uid"]: [container["restartCount"] for container in pod["status"]["containerStatuses"]]
        for pod in lab.gateway_pods("gateway2")
    }


def test_timers_change_on_live_sessions(lab: Lab, gateway2: list[str]) -> None:
    before = alive(lab)
    (row,) = lab.sql("SELECT max(position) AS last FROM event")
    for interval_ms in (100, 1000):
        timers = {"minRX": interval_ms, "minTX": interval_ms}
        lab.kubectl("patch", "veg", "gateway2", "--type=merge", "-p", json.dumps({"spec": {"bfd": timers}}))
        eventually(lambda: both_ends(lab, gateway2) == {(interval_ms, interval_ms, 3)}, 30, f"{interval_ms} ms")  # noqa: B023  # called at once
    lab.ready("gateway2", 2)
    assert alive(lab) == before
    changes = lab.sql(
        "SELECT type, data FROM event WHERE position > %(last)s AND gateway = 'default/gateway2' AND "
        "(type = 'veg.ovn.session-changed.v1' OR type = 'veg.agent.speaker-changed.v1' AND data->>'state' <> 'Up')",
        last=row["last"],
    )
    assert changes == []


def both_ends(lab: Lab, pods: list[str]) -> set[tuple[int, int, int]]:
    """What OVN's ends and the pods' ends use now: the intervals of receiving and sending, and the multiplier."""
    words = ["--format=json", "--columns=dst_ip,min_rx,min_tx,detect_mult,status", "list", "BFD"]
    rows = json.loads(lab.call("sbctl", *words))["data"]
    ips = internal_ips(lab)
    southbound = [tuple(values) for ip, *values, status in rows if ip in ips and status == "up"]
    spoken = [bfd.spoken(lab, pod) for pod in pods]
    assert len(southbound) == len(pods), rows
    assert {one["state"] for one in spoken} == {"Up"}, spoken
    return {
        *southbound,
        *((one["min_rx_ms"], one["min_tx_ms"], one["detect_ms"] // max(one["min_rx_ms"], 1)) for one in spoken),
    }


# The port of a Vpc.


@pytest.fixture
def other_vpc(lab: Lab) -> Iterator[str]:
    """A Vpc without a BFD port, and the name that one would have."""
    lab.apply(vpc("ports"))
    eventually(lambda: "ports" in lab.nbctl("lr-list"), 10, "the router is there")
    yield "ports"
    lab.kubectl("label", "node", NODES[1], "bfd-")
    lab.kubectl("delete", "vpc", "ports")
    eventually(lambda: "ports" not in lab.nbctl("lr-list"), 10, "the router is gone")


def rows_of_port(lab: Lab, name: str) -> dict[str, list[Any]]:
    tables = ("Logical_Router_Port", "HA_Chassis_Group", "Logical_Switch")
    return {each: table(lab, each, "name", "external_ids", condition=f'name="{name}"') for each in tables}


def test_the_port_follows_labels_of_nodes_and_goes(lab: Lab, other_vpc: str) -> None:
    selector = {"matchLabels": {"bfd": "yes"}}
    lab.kubectl("label", "node", NODES[1], "bfd=yes")
    bfd.patch_vpc(lab, other_vpc, {"enabled": True, "ip": "10.255.0.1", "nodeSelector": selector})

    def nodes() -> list[str]:
        found: list[str] = bfd.status(lab, other_vpc).get("nodes") or []
        return found

    eventually(lambda: nodes() == [NODES[1]], 20, "the labelled node runs the port")
    lab.kubectl("label", "node", NODES[1], "bfd-")
    eventually(lambda: nodes() == [], 20, "no node runs the port")
    lab.kubectl("label", "node", NODES[1], "bfd=yes")
    eventually(lambda: nodes() == [NODES[1]], 20, "it runs it again")
    assert all(len(rows) == 1 for rows in rows_of_port(lab, "bfd@ports").values()), rows_of_port(lab, "bfd@ports")

    bfd.patch_vpc(lab, other_vpc, {"enabled": False})
    eventually(lambda: not any(rows_of_port(lab, "bfd@ports").values()), 20, "the rows are gone")
    eventually(lambda: bfd.status(lab, other_vpc) == {}, 20, "the status is gone")


@pytest.fixture
def foreign_port(lab: Lab, other_vpc: str) -> Iterator[str]:
    """A router port of the name that ours would have, with a chassis and a peer, made by somebody else."""
    port, group = "bfd@ports", "theirs"
    lab.nbctl("lrp-add", other_vpc, port, "0a:00:00:00:00:01", "10.255.0.9/32")
    lab.nbctl("ha-chassis-group-add", group)
    lab.nbctl("ha-chassis-group-add-chassis", group, f"chassis-{NODES[0]}", "7")
    (row,) = table(lab, "HA_Chassis_Group", "_uuid", condition=f"name={group}")
    lab.nbctl("set", "Logical_Router_Port", port, f"ha_chassis_group={row['_uuid']}")
    lab.nbctl("ls-add", "theirs", "--", "lsp-add", "theirs", "theirs-port")
    lab.nbctl("lsp-set-type", "theirs-port", "router")
    lab.nbctl("lsp-set-addresses", "theirs-port", "router")
    lab.nbctl("lsp-set-options", "theirs-port", f"router-port={port}")
    yield port
    lab.nbctl("--if-exists", "lrp-del", port)
    lab.nbctl("ls-del", "theirs")
    lab.nbctl("ha-chassis-group-del", group)


def test_a_port_of_somebody_else_is_used_and_not_touched(lab: Lab, other_vpc: str, foreign_port: str) -> None:
    columns = ("_uuid", "mac", "networks", "ha_chassis_group", "options", "external_ids")
    condition = f'name="{foreign_port}"'
    before = table(lab, "Logical_Router_Port", *columns, condition=condition)
    bfd.patch_vpc(lab, other_vpc, {"enabled": True, "ip": "10.255.0.1"})
    found = lab.get("vpc", other_vpc)
    found["status"]["bfdPort"] = {"name": foreign_port, "ip": "10.255.0.9", "nodes": []}
    lab.kubectl("replace", "--raw", f"/apis/kubeovn.io/v1/vpcs/{other_vpc}/status", "-f", "-", stdin=json.dumps(found))

    subnets = {"apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": {"name": "guests"}}
    lab.apply(subnets | {"spec": {"vpc": other_vpc, "protocol": "IPv4", "cidrBlock": "192.168.49.0/24"}})
    policies = [{"snat": True, "subnets": ["guests"]}]
    spec: dict[str, Any] = {
        "internalSubnet": "guests",
        "externalSubnet": "macvlan1",
        "bfd": {"enabled": True},
        "policies": policies,
    }
    # No relay is made for it: without Kube-OVN's patches OVN hears only pods on the chassis that runs the port.
    spec["nodeSelector"] = [{"matchLabels": {"kubernetes.io/hostname": NODES[0]}}]
    lab.apply(egress("guest", vpc=other_vpc, **spec))
    lab.ready("guest", 1)
    assert set(bfd.sessions(lab, "default/guest").values()) == {"up"}
    (pod,) = lab.gateway_pods("guest")
    assert bfd.spoken(lab, pod["metadata"]["name"])["remote"] == "10.255.0.9"
    assert table(lab, "Logical_Router_Port", *columns, condition=condition) == before
    assert bfd.status(lab, other_vpc)["ip"] == "10.255.0.9"
    assert table(lab, "HA_Chassis_Group", "name", condition=condition) == []
    lab.kubectl("delete", "veg", "guest", "--timeout=90s")
    lab.kubectl("delete", "subnet", "guests")


# A session that flaps.

FLAPPING = "flapping"


@pytest.fixture
def flapping(lab: Lab) -> Iterator[str]:
    """A gateway of two in the default VPC that detects fast; the name of one of its pods."""
    fast = {"enabled": True, "minRX": 100, "minTX": 100}
    sources = [{"snat": True, "ipBlocks": ["10.93.0.0/24"]}]
    with bfd.port(lab, "ovn-cluster", PEER):
        lab.apply(egress(FLAPPING, replicas=2, externalSubnet="macvlan1", bfd=fast, policies=sources))
        lab.ready(FLAPPING, 2)
        yield lab.gateway_pods(FLAPPING)[0]["metadata"]["name"]
        lab.kubectl("delete", "veg", FLAPPING, "--timeout=90s")


def test_a_session_that_flaps_is_held_back_and_comes_back(lab: Lab, flapping: str) -> None:
    ip = lab.get("pod", flapping)["status"]["podIP"]
    gateway = f"default/{FLAPPING}"

    def status() -> str:
        return bfd.sessions(lab, gateway)[ip]

    def nexthops() -> list[str]:
        return policies(lab, gateway).get("ip4.src == 10.93.0.0/24", [])

    def downs() -> int:
        """As the log has them: the row may be up again before one looks."""
        (row,) = lab.sql(
            "SELECT count(*) AS downs FROM event WHERE gateway = %(gateway)s AND data->>'dst_ip' = %(ip)s "
            "AND type = 'veg.ovn.session-changed.v1' AND data->>'previous' = 'up'",
            gateway=gateway,
            ip=ip,
        )
        return int(row["downs"])

    def held() -> bool:
        text = rf"session with pod default/{flapping} \({ip}\) went down \d times lately: held back until"
        return bool(re.search(text, conditions(lab.gateway(FLAPPING)).get("Ready", "")))

    kills = 0
    while not held():  # a session that is new may have gone down by itself once, which counts
        assert kills < 3, "three kills within a minute"
        before = downs()
        # It hangs first: one that is back within the detection time is not missed.
        os.kill(lab.container_pid(flapping, "bfdd"), signal.SIGSTOP)
        eventually(lambda: downs() > before, 10, "the session went down")  # noqa: B023  # called at once
        SpeakerKilled(lab, flapping).do()
        kills += 1
        eventually(lambda: status() == "up", 30, "the session is up")
        eventually(lambda: held() or ip in nexthops(), 10, "it is held back, or not")
    (left,) = nexthops()
    assert left != ip
    assert status() == "up"
    query = (
        "SELECT count(*) AS reports FROM report WHERE gateway = %(gateway)s AND data::text LIKE '%%held back until%%'"
    )
    assert lab.sql(query, gateway=gateway)[0]["reports"]
    eventually(lambda: ip in nexthops(), 20, "the pod is a nexthop again")
    lab.ready(FLAPPING, 2)
