"""Killed at any moment and started again, every part leaves the same end state, a whole log, and traffic that goes on.

The moments are random; `VEG_SEED` repeats them.
"""

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from support.lab import Lab, eventually, gateway_manifest
from support.log import assert_log_is_whole
from support.traffic import unbroken_ping

NAME = "changing"
SEED = os.environ.get("VEG_SEED", str(random.SystemRandom().randrange(10**6)))
COMPONENTS = ["watcher", "planner", "ovn-writer", "kube-writer", "bus-auth", "gw-agent", "nats", "postgres", "ovn-nb"]
# Longest wait before a kill: about as long as a change takes from the API server to the chassis.
MOMENT_MAX_S = 1.5

CHANGES: list[dict[str, Any]] = [
    {"replicas": 1, "policies": [{"snat": True, "ipBlocks": ["10.98.0.0/24"]}]},
    {"replicas": 2, "policies": [{"snat": True, "ipBlocks": ["10.98.0.0/24"]}]},
    {"replicas": 2, "policies": [{"snat": True, "ipBlocks": ["10.98.0.0/24", "10.98.1.0/24"]}]},
    {"replicas": 1, "policies": [{"snat": True, "ipBlocks": ["10.98.1.0/24"]}, {"ipBlocks": ["10.98.2.5"]}]},
]


@pytest.fixture(scope="module")
def steady(lab: Lab, client: str) -> Iterator[str]:
    """A ready gateway of the client alone, that carries traffic all the while; the name of its pod."""
    address = lab.get("pod", client)["status"]["podIP"]
    lab.apply(gateway_manifest("steady", policies=[{"snat": True, "ipBlocks": [address]}]))
    lab.ready("steady", 1)
    yield lab.gateway_pods("steady")[0]["metadata"]["name"]
    lab.kubectl("delete", "veg", "steady", "--timeout=60s")


@pytest.fixture(scope="module")
def undisturbed(lab: Lab) -> dict[str, Any]:
    """What the changes end in when nothing is killed."""
    for change in CHANGES:
        lab.apply(gateway_manifest(NAME, **change))
        time.sleep(MOMENT_MAX_S)
    state = end_state(lab)
    remove(lab)
    return state


def end_state(lab: Lab) -> dict[str, Any]:
    """All that a gateway comes to, without what differs from run to run (addresses, names, times)."""
    found = lab.ready(NAME, CHANGES[-1]["replicas"])
    pods = lab.gateway_pods(NAME)
    status = found["status"]
    addresses = sorted(pod["status"]["podIP"] for pod in pods)
    assert status["internalIPs"] == addresses
    owned = {match: hops for match, hops in lab.policies(29100).items() if "10.98." in match}
    assert all(hops == addresses for hops in owned.values()), owned
    (deployment,) = lab.get("deployment", "-l", f"ovn.kubernetes.io/vpc-egress-gateway={NAME}")["items"]
    # The uid is that of the gateway, which is made anew for each run.
    spec = json.dumps(deployment["spec"], sort_keys=True).replace(found["metadata"]["uid"], "UID")
    return {
        "policies": sorted(owned),
        "deployment": json.loads(spec),
        "finalizers": found["metadata"]["finalizers"],
        "phase": status["phase"],
        "conditions": sorted((item["type"], item["status"], item["message"]) for item in status["conditions"]),
        "pods": [inside(lab, pod["metadata"]["name"]) for pod in pods],
    }


def inside(lab: Lab, pod: str) -> dict[str, Any]:
    def said(*words: str) -> list[str]:
        """A container that was killed several times starts again ever later."""
        return eventually(lambda: lab.exec(pod, *words, container="gateway"), 60, f"{pod} runs again").splitlines()

    nat = said("iptables", "-t", "nat", "-S")
    routes = [line.strip() for line in said("ip", "route")]
    return {"nat": nat, "routes": sorted(line for line in routes if " via " in line)}


def remove(lab: Lab) -> None:
    lab.kubectl("delete", "veg", NAME, "--timeout=90s")
    assert lab.owned_rows(f"default/{NAME}") == ""
    assert not lab.exists("deployment", NAME)


def kill(lab: Lab, component: str, steady_pod: str) -> None:
    """SIGKILL, then a start; kubelet starts a container again by itself."""
    if component != "gw-agent":
        lab.call("kill", component)
        lab.call("start", component)
        return
    for name in {steady_pod, *(pod["metadata"]["name"] for pod in lab.gateway_pods(NAME))}:
        with suppress(LookupError, ProcessLookupError):  # a pod that is coming or going
            os.kill(lab.container_pid(name, "gateway"), signal.SIGKILL)


@pytest.mark.parametrize("component", COMPONENTS)
def test_killed_during_changes(lab: Lab, client: str, steady: str, undisturbed: dict[str, Any], component: str) -> None:
    moments = random.Random(f"{SEED}/{component}")
    print(f"VEG_SEED={SEED}")
    with unbroken_ping(lab, f"default/{client}", at_least=300):  # traffic through a ready gateway does not stop
        for change in CHANGES:
            lab.apply(gateway_manifest(NAME, **change))
            time.sleep(moments.uniform(0, MOMENT_MAX_S))
            kill(lab, component, steady)
        state = end_state(lab)
    assert state == undisturbed
    remove(lab)
    assert_log_is_whole(lab)
