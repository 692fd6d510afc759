"""The rows of a gateway of Kube-OVN's own in the northbound database, as values. No I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from veg_lab.mini_kube_ovn.behaviours import OwnGateways
from veg_lab.mini_kube_ovn.gateways.model import FAMILIES, Gateway, first_of
from veg_lab.mini_kube_ovn.gateways.workload import GatewayPod
from veg_lab.mini_kube_ovn.model import Network
from veg_lab.mini_kube_ovn.names import node_port_group

DROP_PRIORITY, CLUSTER_PRIORITY, LOCAL_PRIORITY = 29090, 29100, 29150

Ids = Mapping[str, str]


@dataclass(frozen=True)
class AddressSet:
    name: str
    addresses: tuple[str, ...]
    external_ids: Ids


@dataclass(frozen=True)
class Session:
    """A row of the table BFD."""

    logical_port: str
    dst_ip: str
    min_rx: int
    min_tx: int
    detect_mult: int
    external_ids: Ids


@dataclass(frozen=True)
class GatewayPolicy:
    """A policy; its sessions are those of its next hops."""

    priority: int
    match: str
    action: str
    nexthops: tuple[str, ...]
    external_ids: Ids


@dataclass(frozen=True)
class GatewayRows:
    router: str
    owner: str
    address_sets: tuple[AddressSet, ...]
    port_group: str
    """Empty: there is none."""
    ports: tuple[str, ...]
    group_ids: Ids
    sessions: tuple[Session, ...]
    policies: tuple[GatewayPolicy, ...]


def gateway_rows(
    gateway: Gateway,
    form: OwnGateways,
    sources: Sequence[Network],
    pods: Sequence[GatewayPod],
    selected: Sequence[str],
) -> GatewayRows:
    """`selected` has the names of the switch ports of selected pods."""
    group = f"VEG.{gateway.digest}" if form.always_port_group or gateway.selectors else ""
    served = [family for family in FAMILIES if form.without_nexthops or _nexthops(pods, family)]
    return GatewayRows(
        router=gateway.vpc,
        owner=gateway.key,
        address_sets=tuple(_address_sets(gateway, sources, has_group=bool(group))),
        port_group=group,
        ports=tuple(sorted(selected)),
        group_ids=gateway.external_ids(FAMILIES[-1]),
        sessions=tuple(_sessions(gateway, form, pods)),
        policies=tuple(policy for family in served for policy in _policies(gateway, pods, family)),
    )


def _address_sets(gateway: Gateway, sources: Sequence[Network], *, has_group: bool) -> Iterator[AddressSet]:
    for family in FAMILIES:
        ids = gateway.external_ids(family)
        networks = tuple(sorted(str(each) for each in sources if each.version == family))
        yield AddressSet(f"VEG.{gateway.digest}.ipv{family}", networks, ids)
        if not has_group:
            yield AddressSet(f"VEG.{gateway.digest}_ip{family}", (), ids)


def _sessions(gateway: Gateway, form: OwnGateways, pods: Sequence[GatewayPod]) -> Iterator[Session]:
    if not gateway.bfd:
        return
    own = int(gateway.bfd.get("minRX", 1000)), int(gateway.bfd.get("minTX", 1000))
    min_rx, min_tx = reversed(own) if form.timers_of_peer else own
    multiplier = int(gateway.bfd.get("multiplier", 3))
    for family in FAMILIES:
        for address in _nexthops(pods, family):
            ids = gateway.external_ids(family)
            yield Session(gateway.bfd_port.get("name", ""), address, min_rx, min_tx, multiplier, ids)


def _policies(gateway: Gateway, pods: Sequence[GatewayPod], family: int) -> Iterator[GatewayPolicy]:
    ids, source = gateway.external_ids(family), f"ip{family}.src"
    matches = tuple(f"{source} == ${name}" for name in _set_names(gateway, family))
    for match in matches:
        if gateway.spec.get("trafficPolicy") == "Local":
            for node in sorted({pod.node for pod in pods}):
                here = _nexthops([pod for pod in pods if pod.node == node], family)
                local = f"{source} == ${node_port_group(node)}_ip{family} && {match}"
                if here:
                    yield GatewayPolicy(LOCAL_PRIORITY, local, "reroute", here, ids)
        nexthops = _nexthops(pods, family)
        if nexthops:
            yield GatewayPolicy(CLUSTER_PRIORITY, match, "reroute", nexthops, ids)
        if gateway.bfd:
            yield GatewayPolicy(DROP_PRIORITY, match, "drop", (), ids)


def _set_names(gateway: Gateway, family: int) -> tuple[str, str]:
    return f"VEG.{gateway.digest}.ipv{family}", f"VEG.{gateway.digest}_ip{family}"


def _nexthops(pods: Sequence[GatewayPod], family: int) -> tuple[str, ...]:
    found = (first_of(pod.internal, family) for pod in pods)
    return tuple(sorted({address for address in found if address}))
