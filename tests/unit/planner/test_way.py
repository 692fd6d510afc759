"""How the pods of a gateway get to the bus, by where the gateway stands."""

from typing import Any

import msgspec
import pytest
from support.custom_vpc import KEY, created2
from support.simulation import GATEWAY, MANAGEMENT, SETTINGS, Simulation, created

from veg_contracts.events import PlannerConfigured

MANAGEMENT_NETWORK = "kube-system/veg-mgmt"


def template(simulation: Simulation, gateway: str) -> Any:
    workload = simulation.intent(gateway).workload
    assert workload is not None
    return workload.manifest["spec"]["template"]


def networks(simulation: Simulation, gateway: str) -> str:
    annotations = template(simulation, gateway)["metadata"]["annotations"]
    return str(annotations["k8s.v1.cni.cncf.io/networks"])


def bus(simulation: Simulation, gateway: str) -> dict[str, str]:
    """What all containers that hear of the bus are told of the way there."""
    spec = template(simulation, gateway)["spec"]
    told = [
        {item["name"]: item["value"] for item in container["env"] if item["name"].startswith("VEG_BUS_")}
        for container in (*spec["initContainers"], *spec["containers"])
        if any(item["name"] == "VEG_NATS_URL" for item in container["env"])
    ]
    assert told[1:] == told[:-1]
    return told[0]


def test_a_gateway_of_the_default_vpc_has_no_management_interface() -> None:
    simulation = created()
    assert networks(simulation, GATEWAY) == "default/eth1"
    assert bus(simulation, GATEWAY) == {"VEG_BUS_INTERFACE": "eth0", "VEG_BUS_GATEWAYS": "10.16.0.1"}


def test_a_gateway_of_another_vpc_has_one() -> None:
    simulation = created2()
    assert networks(simulation, KEY) == f"default/eth1,{MANAGEMENT_NETWORK}"
    assert bus(simulation, KEY) == {"VEG_BUS_INTERFACE": "net2", "VEG_BUS_GATEWAYS": "10.250.0.1"}


@pytest.mark.parametrize(
    ("changed", "default_vpc"),
    [
        ({"agent_nats_via": "external"}, {}),
        ({"management_network": ""}, {"VEG_BUS_INTERFACE": "eth0", "VEG_BUS_GATEWAYS": "10.16.0.1"}),
    ],
)
def test_where_there_is_no_other_way_the_default_route_is_it(changed: Any, default_vpc: dict[str, str]) -> None:
    settings = msgspec.structs.replace(SETTINGS, **changed)
    simulation, other = created(), created2()
    for each in (simulation, other):
        each.happen(PlannerConfigured(settings=settings))
    assert bus(simulation, GATEWAY) == default_vpc
    assert networks(other, KEY) == "default/eth1"
    assert bus(other, KEY) == {}


def test_a_management_network_without_a_subnet_is_awaited_and_rolls_no_pod() -> None:
    simulation = created2()
    before = template(simulation, KEY)
    simulation.lose(MANAGEMENT)
    said = 'VEG_MANAGEMENT_NETWORK: waits for a Subnet with spec.provider "veg-mgmt.kube-system.ovn" and a gateway'
    assert said in simulation.message("Ready", KEY)
    assert template(simulation, KEY) == before
    simulation.see(msgspec.structs.replace(MANAGEMENT, gateway="what?"), uid="another")
    assert said in simulation.message("Ready", KEY)
    simulation.see(MANAGEMENT, uid="another")
    assert said not in simulation.message("Ready", KEY)
