"""The document's `vpc1` and `gateway2` for the simulated planner."""

from typing import Any

import msgspec

from support.simulation import Simulation, gateway, pod
from veg_contracts.objects import Attachment, BfdPort, Subnet, Vpc

KEY = "default/gateway2"
SPEC = {
    "vpc": "vpc1",
    "replicas": 2,
    "internalSubnet": "subnet1",
    "externalSubnet": "macvlan1",
    "policies": [{"snat": True, "ipBlocks": ["192.168.0.0/24"]}],
}


def vpc1(simulation: Simulation, port: BfdPort | None = None) -> None:
    simulation.see(Vpc(name="vpc1", router="vpc1", default_subnet="subnet1", bfd_port=port))
    for number in (0, 1):
        simulation.see(
            Subnet(
                name=f"subnet{number + 1}",
                vpc="vpc1",
                provider="ovn",
                cidr=f"192.168.{number}.0/24",
                gateway=f"192.168.{number}.1",
                validated=True,
            )
        )


def created2(port: BfdPort | None = None, **spec: Any) -> Simulation:
    """The document's example of a custom VPC, ready, with two pods."""
    simulation = Simulation()
    simulation.prepare()
    vpc1(simulation, port)
    simulation.answer_all()
    return settle(simulation, **spec)


def settle(simulation: Simulation, **spec: Any) -> Simulation:
    simulation.see(gateway(name="gateway2", spec=SPEC | spec))
    simulation.answer_all()
    replicas = int(spec.get("replicas", 2))
    for index in range(replicas):
        external = Attachment(network="default/eth1", interface="net1", ips=(f"172.17.0.{13 + index}",))
        simulation.see(pod(index, KEY, ips=(f"192.168.0.{2 + index}",), attachments=(external,)))
    uid, deployment = simulation.deployments[KEY]
    ready = msgspec.structs.replace(
        deployment,
        observed_generation=deployment.generation,
        replicas=replicas,
        updated=replicas,
        available=replicas,
    )
    simulation.see(ready, uid)
    simulation.report_config(replicas, KEY)
    simulation.answer_all()
    return simulation
