"""Services -> the load balancers of the default VPC, as Kube-OVN writes them with `enable-lb`, its default. No I/O."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from veg_lab.mini_kube_ovn.model import Json
from veg_lab.mini_kube_ovn.names import load_balancer

_PROTOCOLS = ("tcp", "udp", "sctp")
_KINDS = [(protocol, session) for protocol in _PROTOCOLS for session in (False, True)]
BALANCERS = tuple(load_balancer(protocol, session=session) for protocol, session in _KINDS)
_SERVICE_LABEL = "kubernetes.io/service-name"
_SESSION_S = "10800"  # Kubernetes' default for sessionAffinity ClientIP
_Key = tuple[str, str]


@dataclass(frozen=True)
class LoadBalancer:
    """`vips` are "address:port" -> "address:port,…", with an IPv6 address in brackets."""

    name: str
    protocol: str
    vips: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict)
    selection_fields: tuple[str, ...] = ()


def load_balancers(services: Iterable[Json], slices: Iterable[Json]) -> tuple[LoadBalancer, ...]:
    """All of them, whether or not there is a Service for each."""
    of_service: dict[_Key, list[Json]] = defaultdict(list)
    for each in slices:
        meta = each["metadata"]
        of_service[meta["namespace"], (meta.get("labels") or {}).get(_SERVICE_LABEL, "")].append(each)
    vips: dict[tuple[str, bool], dict[str, str]] = {kind: {} for kind in _KINDS}
    for service in services:
        spec, meta = service["spec"], service["metadata"]
        session = spec.get("sessionAffinity") == "ClientIP"
        for port in spec.get("ports") or ():
            found = _vips(spec, port, of_service[meta["namespace"], meta["name"]])
            vips[port.get("protocol", "TCP").lower(), session] |= found
    return tuple(_balancer(protocol, session, vips[protocol, session]) for protocol, session in _KINDS)


def _balancer(protocol: str, session: bool, vips: Mapping[str, str]) -> LoadBalancer:
    name = load_balancer(protocol, session=session)
    if not session:
        return LoadBalancer(name, protocol, vips)
    return LoadBalancer(name, protocol, vips, {"affinity_timeout": _SESSION_S}, ("ip_src",))


def _vips(spec: Json, port: Json, slices: Iterable[Json]) -> dict[str, str]:
    """A Service without a ready endpoint has none, and so has one without an address."""
    backends = sorted({each for found in slices for each in _backends(found, port.get("name") or "")})
    addresses = [address for address in spec.get("clusterIPs") or () if address != "None"]
    wanted = {address: [to for to in backends if _version(to[0]) == _version(address)] for address in addresses}
    return {
        _join(address, port["port"]): ",".join(_join(*to) for to in found) for address, found in wanted.items() if found
    }


def _backends(found: Json, name: str) -> list[tuple[str, int]]:
    numbers = [each["port"] for each in found.get("ports") or () if (each.get("name") or "") == name]
    ready = [each for each in found.get("endpoints") or () if (each.get("conditions") or {}).get("ready", True)]
    return [(address, number) for each in ready for address in each["addresses"] for number in numbers]


def _version(address: str) -> int:
    return ip_address(address).version


def _join(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
