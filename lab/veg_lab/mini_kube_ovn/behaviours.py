"""What each version of Kube-OVN does differently, as one table. The code asks the value, never the version. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from veg_lab.errors import LabError
from veg_lab.mini_kube_ovn.names import VENDOR

VARIABLE = "VEG_LAB_KUBE_OVN"
DEFAULT = "reference"


class Rows(StrEnum):
    """Which rows of strangers go when a Vpc is reconciled."""

    NONE = "none"
    ALL = "all"
    VENDOR = "those with vendor=kube-ovn"
    UNMARKED = "those without vpc-egress-gateway in their external_ids"


@dataclass(frozen=True)
class OwnGateways:
    """How the version writes the rows of its own egress gateways where versions differ."""

    always_port_group: (
        bool  # also of a gateway that selects no pods; else the sets that come with a group are made empty
    )
    timers_of_peer: bool  # min_rx of a session is spec.bfd.minTX, and the other way round
    without_nexthops: bool  # rows are brought to "no pod" too; else what there was stays
    grace_with_bfd_s: int


@dataclass(frozen=True)
class Behaviour:
    """Everything that depends on the version."""

    name: str
    release: str = ""
    """That of the controller whose behaviour it is, as its image is tagged; empty: of nobody's."""
    bfd_port_field: bool = True
    """Whether Vpc has spec.bfdPort and status.bfdPort at all."""
    makes_bfd_ports: bool = False
    subnet_routes: bool = False
    """Custom VPCs: `src-ip <subnet CIDR> -> <subnet gateway>`, made by a helper that deletes its rivals."""
    route_ids: Mapping[str, str] = field(default_factory=dict)
    """The external_ids of static routes that a Vpc or a Subnet asks for."""
    deletes_routes: Rows = Rows.NONE
    deletes_policies: Rows = Rows.NONE
    """Of custom VPCs only."""
    deletes_port_groups_at_start: bool = False
    deletes_switches_at_start: Rows = Rows.NONE
    """Those that no Subnet asks for, and routers that no Vpc asks for, at the default flags of the version."""
    finds_default_subnet: bool = False
    """A custom Vpc without spec.defaultSubnet gets its oldest one; else it has none."""
    own_gateways: OwnGateways | None = None


# `reference` is the cluster of the document: nothing is done to anybody. An HA group with more than one member runs no
# BFD session while no tunnel to another chassis is up, even if its highest member lives.
BEHAVIOURS: Mapping[str, Behaviour] = {
    each.name: each
    for each in (
        Behaviour(DEFAULT, finds_default_subnet=True),
        Behaviour(
            "1.13",
            release="v1.13.15",
            bfd_port_field=False,
            deletes_routes=Rows.ALL,
            deletes_policies=Rows.ALL,
            deletes_port_groups_at_start=True,
            deletes_switches_at_start=Rows.VENDOR,
        ),
        Behaviour(
            "1.14",
            release="v1.14.41",
            makes_bfd_ports=True,
            subnet_routes=True,
            deletes_routes=Rows.ALL,
            deletes_policies=Rows.ALL,
            deletes_port_groups_at_start=True,
            deletes_switches_at_start=Rows.ALL,
            own_gateways=OwnGateways(
                always_port_group=True, timers_of_peer=False, without_nexthops=False, grace_with_bfd_s=0
            ),
        ),
        Behaviour(
            "1.17",
            release="v1.17.0",
            makes_bfd_ports=True,
            subnet_routes=True,
            route_ids=VENDOR,
            deletes_routes=Rows.VENDOR,
            deletes_policies=Rows.UNMARKED,
            deletes_switches_at_start=Rows.ALL,
            own_gateways=OwnGateways(
                always_port_group=False, timers_of_peer=True, without_nexthops=True, grace_with_bfd_s=30
            ),
        ),
    )
}


def named(name: str) -> Behaviour:
    """The behaviour of that name; `reference` if none is given.

    Raises:
        LabError: there is none; the message names those that are.
    """
    found = BEHAVIOURS.get(name or DEFAULT)
    if found is None:
        raise LabError(f"{VARIABLE}={name!r}: there is no such behaviour; there are {', '.join(BEHAVIOURS)}")
    return found
