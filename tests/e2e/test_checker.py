"""The checker that runs after every test can fail: it names what is broken by hand while its repairer is stopped."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.checker import problems
from support.lab import Lab, eventually, gateway_manifest

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
