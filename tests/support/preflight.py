"""Facts of a cluster in which everything works, as `vegctl preflight` sees them, and what is said of them."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml

from veg_contracts import names
from vegctl.preflight import bus, ovn, rights
from vegctl.preflight.derive import Report
from vegctl.preflight.facts import (
    Answer,
    Asked,
    Attachment,
    Bus,
    Cluster,
    Definition,
    Facts,
    Northbound,
    Program,
    Service,
    Subnet,
    Vpc,
)

ROOT = Path(__file__).parents[2]
NATS = "10.96.0.20"
KUBE_OVN_GATEWAYS = ROOT / "lab" / "crds" / "own-gateways" / "kube-ovn.yaml"
EVERYTHING = {**ovn.NEEDED, ovn.ROUTES: ovn.NEEDED[ovn.ROUTES] | {ovn.SELECTION_FIELDS}}


@cache
def definition(path: Path) -> Definition:
    """The first CustomResourceDefinition of a file."""
    found = next(yaml.safe_load_all(path.read_text()))
    schema = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return Definition(name=found["metadata"]["name"], spec=schema["properties"]["spec"])


def ours(group: str = names.KUBE_OVN_GROUP) -> Definition:
    return definition(ROOT / "crds" / group / "vpc-egress-gateways.yaml")


def vpcs_definition(*, bfd_port: bool = True) -> Definition:
    found = definition(ROOT / "lab" / "crds" / "kube-ovn.yaml")
    properties = {name: value for name, value in found.spec["properties"].items() if bfd_port or name != "bfdPort"}
    return Definition(name=found.name, spec={"properties": properties})


def controller(release: str, *flags: str) -> Program:
    words = ("/kube-ovn/start-controller.sh", *flags)
    return Program(key="kube-system/kube-ovn-controller", image=f"docker.io/kubeovn/kube-ovn:{release}", words=words)


def attachment(key: str, provider: str, kind: str = "macvlan") -> Attachment:
    config: dict[str, Any] = {"cniVersion": "0.3.0", "type": kind}
    config |= {"provider": provider} if kind == "kube-ovn" else {"ipam": {"type": "kube-ovn", "provider": provider}}
    return Attachment(key=key, config=json.dumps(config))


def answers(group: str = names.KUBE_OVN_GROUP) -> tuple[Answer, ...]:
    """All rights are granted."""
    return tuple(
        Answer(role=role, user=rights.user(Asked(), role), right=right, allowed=True)
        for role, needed in rights.needed(group).items()
        for right in needed
    )


CLUSTER = Cluster(
    version="v1.36.4",
    controller=controller("v1.13.15", "--enable-lb=true"),
    definitions=(vpcs_definition(), ours()),
    vpcs=(Vpc(name="ovn-cluster", router="ovn-cluster", default_subnet="ovn-default"),),
    subnets=(
        Subnet(name="ovn-default", vpc="ovn-cluster", provider="ovn", cidr="10.16.0.0/16"),
        Subnet(name="macvlan1", provider="eth1.default", cidr="172.17.0.0/16"),
    ),
    attachments=(attachment("default/eth1", "eth1.default"),),
    service=Service(key="kube-system/veg-nats", cluster_ip=NATS),
    rights=answers(),
)
# The newest that was tried, beside which nothing of ours is deleted.
BESIDE = msgspec.structs.replace(
    CLUSTER,
    controller=controller("v1.17.0"),
    definitions=(vpcs_definition(), definition(KUBE_OVN_GATEWAYS), ours(names.OWN_GROUP)),
    rights=answers(names.OWN_GROUP),
)
ASKED = Asked(agent_nats_url=f"nats://{NATS}:4222")
NORTHBOUND = Northbound(version="7.11.0", columns=EVERYTHING, northd="25.03.0")
BUS = Bus(version="2.15.1", user="reader", jetstream=True, max_payload=1 << 20, streams=bus.STREAMS)
WORKS = Facts(asked=ASKED, cluster=BESIDE, northbound=NORTHBOUND, bus=BUS)

# A custom VPC, and the management network by which its gateways reach the bus.
CUSTOM = (
    *CLUSTER.vpcs,
    Vpc(name="vpc1", router="vpc1", default_subnet="subnet1"),
)
MANAGEMENT = "kube-system/veg-mgmt"
MANAGED: dict[str, Any] = {
    "vpcs": CUSTOM,
    "subnets": (
        *CLUSTER.subnets,
        Subnet(name="subnet1", vpc="vpc1", provider="ovn", cidr="192.168.0.0/24"),
        Subnet(name="veg-mgmt", vpc="ovn-cluster", provider="veg-mgmt.kube-system.ovn", cidr="10.250.0.0/16"),
    ),
    "attachments": (*CLUSTER.attachments, attachment(MANAGEMENT, "veg-mgmt.kube-system.ovn", "kube-ovn")),
}


def cluster(base: Cluster = BESIDE, **changes: Any) -> Cluster:
    """That cluster with other fields."""
    return msgspec.structs.replace(base, **changes)


def facts(base: Facts = WORKS, *, asked: dict[str, Any] | None = None, **changes: Any) -> Facts:
    """Those facts with other fields, and other settings."""
    made = msgspec.structs.replace(base.asked, **(asked or {}))
    return msgspec.structs.replace(base, asked=made, **changes)


def said(report: Report) -> dict[str, str]:
    """id and object -> "severity: found -> follows" of what is not as it should be."""
    return {
        f"{each.id} {each.object}": f"{each.severity}: {each.found} -> {each.follows}"
        for each in report.findings
        if each.severity != "ok"
    }
