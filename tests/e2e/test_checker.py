"""The checker that runs after every test can fail: it names what is broken by hand while its repairer is stopped."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.checker import problems
from support.clients import await_running, client_pod
from support.lab import Lab, eventually, gateway_manifest
from support.northbound import port_group
from support.vpcs import egress, subnet, vpc

NAME = "checked"
SOURCE = "10.92.0.0/24"


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


@contextmanager
def stopped(lab: Lab, component: str) -> Iterator[None]:
    lab.call("stop", component)
    try:
        yield
    finally:
        lab.call("start", component)


@contextmanager
def frozen_agent(lab: Lab, pod: str) -> Iterator[None]:
    record = lab.run_directory / "pods" / "default" / pod / "containers" / "gateway.json"
    pid = json.loads(record.read_text())["pid"]
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
        (["set", "Logical_Router_Policy", "ROW", "external_ids:vpc-egress-gateway=default/gone"], ["does not exist"]),
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
