"""The checker that runs after every test can fail: it names what is broken by hand while its repairer is stopped."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support import bfd
from support.checker import problems
from support.clients import await_running, client_pod
from support.lab import Lab, eventually, gateway_manifest
from support.northbound import port_group
from support.vpcs import egress, subnet, vpc

NAME = "checked"
SOURCE = "10.92.0.0/24"
OWNER = "external_ids:vpc-egress-gateway.io/owner"
SPARE = ["priority=29080", 'match="ip4.src == 192.168.98.0/24"', "action=reroute", "nexthops=192.168.10.9"]
CREATE_SPARE = ["--", "--id=@spare", "create", "Logical_Router_Policy", *SPARE, f'{OWNER}="default/ten"', "--"]


@pytest.fixture(scope="module")
def pod(lab: Lab) -> Iterator[str]:
    """The name of the one pod of a ready gateway."""
    lab.apply(gateway_manifest(NAME, policies=[{"snat": True, "ipBlocks": [SOURCE]}]))
    lab.ready(NAME, 1)
    eventually(lambda: not problems(lab), 10, "all is well before")
    yield lab.gateway_pods(NAME)[0]["metadata"]["name"]
    lab.kubectl("delete", "veg", NAME, "--timeout=60s")


@pytest.fixture(scope="module")
def custom(lab: Lab) -> Iterator[str]:
    """A ready gateway of a VPC of its own, with a source and a selected pod; its key."""
    lab.apply(vpc("vpc9"), subnet("subnet9", "IPv4", "192.168.9.0/24", vpc="vpc9"))
    lab.apply(client_pod("chosen", labels={"egress": "nine"}, subnet="subnet9"))
    selectors = [{"podSelector": {"matchLabels": {"egress": "nine"}}}]
    policies = [{"snat": True, "ipBlocks": ["192.168.99.0/24"]}]
    lab.apply(egress("nine", vpc="vpc9", externalSubnet="macvlan1", policies=policies, selectors=selectors))
    await_running(lab, "default/chosen")
    lab.ready("nine", 1)
    eventually(lambda: not problems(lab), 10, "all is well before")
    yield "default/nine"
    lab.kubectl("delete", "veg", "nine", "--timeout=60s")
    lab.kubectl("delete", "pod", "chosen")
    lab.kubectl("delete", "subnet", "subnet9")
    lab.kubectl("delete", "vpc", "vpc9")


@pytest.fixture(scope="module")
def watched(lab: Lab) -> Iterator[str]:
    """A ready gateway with BFD and local traffic in a VPC of its own, and a client on its node; its key."""
    node = "kube-ovn-worker"
    lab.apply(vpc("vpc10"), subnet("subnet10", "IPv4", "192.168.10.0/24", vpc="vpc10"))
    client = client_pod("near", subnet="subnet10", node=node)
    spec = {
        "vpc": "vpc10",
        "externalSubnet": "macvlan1",
        "internalSubnet": "subnet10",
        "trafficPolicy": "Local",
        "bfd": {"enabled": True},
        "nodeSelector": [{"matchLabels": {"kubernetes.io/hostname": node}}],
        "policies": [{"snat": True, "ipBlocks": ["192.168.98.0/24"]}],
    }
    with bfd.port(lab, "vpc10", "10.255.255.255"):
        lab.apply(client, egress("ten", **spec))
        await_running(lab, "default/near")
        lab.ready("ten", 1)
        eventually(lambda: not problems(lab), 10, "all is well before")
        yield "default/ten"
        lab.kubectl("delete", "veg", "ten", "--timeout=60s")
    lab.kubectl("delete", "pod", "near")
    lab.kubectl("delete", "subnet", "subnet10")
    lab.kubectl("delete", "vpc", "vpc10")


@contextmanager
def stopped(lab: Lab, component: str) -> Iterator[None]:
    lab.call("stop", component)
    try:
        yield
    finally:
        lab.call("start", component)


@contextmanager
def frozen_agent(lab: Lab, pod: str) -> Iterator[None]:
    pid = lab.container_pid(pod, "gateway")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def named(lab: Lab, *words: str) -> bool:
    return any(all(word in problem for word in words) for problem in problems(lab))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["set", "Logical_Router_Policy", "ROW", "nexthops=10.16.0.250"], ["10.16.0.250", SOURCE]),
        (["set", "Logical_Router_Policy", "ROW", "external_ids:af=6"], ["external_ids", SOURCE]),
        (["set", "Logical_Router_Policy", "ROW", f"{OWNER}=default/gone"], ["does not exist"]),
        (["lr-policy-del", "ovn-cluster", "ROW"], ["no policy", SOURCE]),
    ],
)
def test_a_wrong_row_is_named(lab: Lab, pod: str, command: list[str], words: list[str]) -> None:  # noqa: ARG001  # ready
    with stopped(lab, "ovn-writer"):
        row = lab.owned_rows(f"default/{NAME}")
        lab.nbctl(*(row if word == "ROW" else word for word in command))
        assert named(lab, *words), problems(lab)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["iptables", "-t", "nat", "-F", "POSTROUTING"], ["missing NAT rules", SOURCE]),
        (["iptables", "-t", "nat", "-A", "POSTROUTING", "-s", "10.91.0.0/24", "-j", "MASQUERADE"], ["for nothing"]),
        (["ip", "route", "del", SOURCE], ["missing routes back", SOURCE]),
        (["ip", "route", "del", "default"], ["default routes"]),
    ],
)
def test_a_wrong_rule_or_route_is_named(lab: Lab, pod: str, command: list[str], words: list[str]) -> None:
    inside = ["run", "--", "nsenter", f"--net=/run/netns/{lab.name}.pod.default.{pod}"]
    with frozen_agent(lab, pod):
        lab.call(*inside, *command)
        assert named(lab, *words), problems(lab)
    if command[:2] == ["iptables", "-t"] and "10.91.0.0/24" in command:  # not a rule of ours: nobody but us removes it
        lab.call(*inside, *(("-D" if word == "-A" else word) for word in command))
    if command[-1] == "default":  # made by the CNI, which does not look again
        lab.call(*inside, "ip", "route", "add", "default", "via", "172.17.0.1", "dev", "net1")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["lr-route-del", "vpc9", "192.168.99.0/24"], ["no src-ip route"]),
        (["clear", "Logical_Router_Static_Route", "ROW", "selection_fields"], ["not by the source address"]),
        (["clear", "Logical_Router_Static_Route", "ROW", "options"], ["no symmetric reply"]),
        (["set", "Logical_Router_Static_Route", "ROW", "external_ids:af=6"], ["external_ids"]),
        (["clear", "Port_Group", "GROUP", "ports"], ["chosen.default", "not in its port group"]),
        (["pg-set-ports", "GROUP", "chosen.default", "client.default"], ["client.default", "not selected"]),
    ],
)
@pytest.mark.usefixtures("client")
def test_a_wrong_route_or_member_is_named(lab: Lab, custom: str, command: list[str], words: list[str]) -> None:
    with stopped(lab, "ovn-writer"):
        condition = ["find", "Logical_Router_Static_Route", f'external_ids:vpc-egress-gateway="{custom}"']
        row = lab.nbctl("--bare", "--columns=_uuid", *condition, "ip_prefix=192.168.99.0/24").strip()
        lab.nbctl(*({"ROW": row, "GROUP": port_group(custom)}.get(word, word) for word in command))
        assert named(lab, custom, *words), problems(lab)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["set", "BFD", "ROW", "min_rx=7"], ["min_rx"]),
        (["set", "BFD", "ROW", f"{OWNER}=default/gone"], ["does not exist"]),
        (["destroy", "BFD", "ROW"], ["has BFD sessions with []"]),
        (["clear", "Logical_Router_Static_Route", "ROW", "bfd"], ["the route", "refers to the BFD sessions with []"]),
        (["clear", "Logical_Router_Static_Route", "ROW", "bfd"], ["no static route refers to the BFD session"]),
        (["set", "Logical_Router_Static_Route", "ROW", "route_table=veg-bfd"], ["anchor", "of no session"]),
        (["lr-policy-del", "vpc10", "29090"], ["no drop", "reg0 !="]),
        (["set", "Logical_Router_Policy", "29090", "action=allow"], ["the drop", "is allow"]),
        (["set", "Logical_Router_Policy", "29090", 'match="ip4.src == 192.168.98.0/24"'], ["that should not be"]),
        (["lr-policy-del", "vpc10", "29150"], ["no policy of priority 29150"]),
        (["clear", "Logical_Router_Policy", "29150", "bfd_sessions"], ["local policy", "BFD sessions with []"]),
        ([*CREATE_SPARE, "add", "Logical_Router", "vpc10", "policies", "@spare"], ["there are spare ones"]),
        (["clear", "Port_Group", "GROUP", "ports"], ["near.default", "not in its port group"]),
        (["lr-policy-del", "vpc10", "31500"], ["the relay of Vpc vpc10", "its policies are"]),
        (["lr-route-del", "vpc10", "169.254.37.84/32"], ["the relay of Vpc vpc10", "the ways there are"]),
        (["lsp-del", "bfd-relay@vpc10.peer"], ["the relay of Vpc vpc10", "the stub switch joins"]),
        (["lr-del", "bfd-relay@vpc10"], ["the BFD port of Vpc vpc10 has no relay"]),
        (["set", "Logical_Router_Port", "bfd@vpc10", 'networks="10.255.255.9"'], ["Vpc vpc10", "status.bfdPort"]),
    ],
)
def test_a_wrong_row_of_bfd_is_named(lab: Lab, watched: str, command: list[str], words: list[str]) -> None:
    # Of one that is not ready nothing is said: a session that was made anew is not up yet.
    eventually(lambda: set(bfd.sessions(lab, watched).values()) == {"up"}, 20, "the session is up")
    lab.ready("ten", 1)
    (group,) = lab.nbctl("--bare", "--columns=name", "find", "Port_Group", OWNER + f'="{watched}"').split()
    with stopped(lab, "ovn-writer"):
        known = {"GROUP": group}
        if "ROW" in command:
            known["ROW"] = lab.nbctl("--bare", "--columns=_uuid", "find", command[1], OWNER + f'="{watched}"').strip()
        for priority in ("29090", "29150"):
            row = lab.nbctl("--bare", "--columns=_uuid", "find", "Logical_Router_Policy", f"priority={priority}")
            known[priority] = row.strip() if command[0] != "lr-policy-del" else priority
        lab.nbctl(*(known.get(word, word) for word in command))
        assert named(lab, *words), problems(lab)


@pytest.mark.parametrize(
    ("field", "value"),
    [("internalIPs", ["10.16.0.250"]), ("externalIPs", ["172.17.0.250"]), ("replicas", 2), ("phase", "Processing")],
)
def test_a_wrong_status_is_named(lab: Lab, pod: str, field: str, value: object) -> None:  # noqa: ARG001  # ready
    path = f"/apis/kubeovn.io/v1/namespaces/default/vpc-egress-gateways/{NAME}/status"
    with stopped(lab, "kube-writer"):
        before = lab.gateway(NAME)
        wrong = before | {"status": before["status"] | {field: value}}
        lab.kubectl("replace", "--raw", path, "-f", "-", stdin=json.dumps(wrong))
        assert named(lab, f"default/{NAME}", field), problems(lab)
        # The status is nobody else's to write, so nobody repairs it: the test does.
        wrong["metadata"]["resourceVersion"] = lab.gateway(NAME)["metadata"]["resourceVersion"]
        lab.kubectl("replace", "--raw", path, "-f", "-", stdin=json.dumps(wrong | {"status": before["status"]}))
