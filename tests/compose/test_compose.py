"""The deployment that docker-compose.yml describes works, and comes back after each of its containers was killed.

The tests of this module stand on each other, in this order.
"""

import time

import pytest
from compose.project import HEALTHY_WITHIN_S, Project
from support.lab import Lab, eventually, example
from support.vpcs import fetch

# Engine, images and lab are made within the first test.
pytestmark = pytest.mark.timeout(1800)

_ONE_SHOT = ("nats-volume", "migrate")
_USERS = {"postgres": "999:999", "nats-volume": "0:0"}
_SERVICES = ("nats", "postgres", "bus-auth", "watcher", "planner", "ovn-writer", "kube-writer")


def external_address(lab: Lab) -> str:
    """Of the one pod of gateway1."""
    (address,) = lab.gateway("gateway1")["status"]["externalIPs"]
    return str(address)


def test_every_container_is_healthy_or_has_done_its_work(project: Project) -> None:
    states = {service: found["State"] for service, found in project.containers().items()}
    assert {name: states[name]["ExitCode"] for name in _ONE_SHOT} == dict.fromkeys(_ONE_SHOT, 0)
    assert {name: states[name]["Health"]["Status"] for name in _SERVICES} == dict.fromkeys(_SERVICES, "healthy")
    assert set(states) == {*_ONE_SHOT, *_SERVICES}


def test_no_container_may_more_than_it_needs(project: Project) -> None:
    for service, found in project.containers().items():
        host = found["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert not host["Privileged"]
        assert host["CapAdd"] == (["CAP_CHOWN"] if service == "nats-volume" else None), service
        assert host["SecurityOpt"] == ["no-new-privileges:true"], service
        assert all(host[limit] for limit in ("Memory", "NanoCpus", "PidsLimit")), service
        assert found["Config"]["User"] == _USERS.get(service, "10001:10001"), service
        assert host["RestartPolicy"]["Name"] == ("no" if service in _ONE_SHOT else "unless-stopped"), service
        ports = [binding["HostPort"] for bindings in host["PortBindings"].values() for binding in bindings]
        assert ports == (["4222"] if service == "nats" else []), service


def test_no_secret_is_in_an_environment_or_a_command(project: Project) -> None:
    directory = project.settings.parent / "secrets"
    secrets = [path.read_text().strip() for path in directory.iterdir() if path.name.endswith(("password", "seed"))]
    assert len(secrets) > 10
    for service, found in project.containers().items():
        shown = str((found["Config"], found["HostConfig"], found["Args"]))
        assert not [secret for secret in secrets if secret in shown], service


def test_the_first_example_serves(project: Project, lab: Lab) -> None:
    lab.apply(example("client.yaml"), example("gateway1.yaml"))
    lab.ready("gateway1", 1)
    eventually(lambda: fetch(lab, "client") == external_address(lab), 30, "the outside sees the gateway's address")
    assert "gateway1" in project.compose("run", "--rm", "vegctl", "get", "default/gateway1")


@pytest.mark.parametrize("service", _SERVICES)
def test_a_container_that_was_killed_is_healthy_again(project: Project, lab: Lab, service: str) -> None:
    before = project.containers()[service]["State"]["StartedAt"]
    project.compose("kill", service)
    assert fetch(lab, "client") == external_address(lab), "traffic needs nobody of the control plane"
    began = time.monotonic()
    project.up()
    assert time.monotonic() - began < HEALTHY_WITHIN_S
    assert project.containers()[service]["State"]["StartedAt"] != before


def test_after_all_that_the_gateway_still_follows_its_spec(project: Project, lab: Lab) -> None:
    lab.kubectl("scale", "veg", "gateway1", "--replicas=2")
    lab.ready("gateway1", 2)
    (nexthops,) = lab.policies(29100).values()
    assert len(nexthops) == 2
    assert fetch(lab, "client") in lab.gateway("gateway1")["status"]["externalIPs"]
    lab.kubectl("delete", "veg", "gateway1", "--timeout=60s")
    assert not lab.policies(29100)
    assert not [line for line in project.compose("logs", "--no-color").splitlines() if "Traceback" in line]
