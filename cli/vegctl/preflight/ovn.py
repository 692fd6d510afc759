"""OVN: what its Northbound schema lacks, whether it has Kube-OVN's patches, and whose src-ip routes there are. Pure."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Final

from veg_contracts import addresses
from vegctl.preflight import kube_ovn
from vegctl.preflight.facts import BfdPort, Cluster, Northbound, Route, Unreached
from vegctl.preflight.findings import Finding, blocker, limit, ok, unknown
from vegctl.preflight.values import Values

# What the ovn-writer reads and writes. Without one of these it serves nobody, or not in the VPCs that need it.
NEEDED: Final[Mapping[str, frozenset[str]]] = {
    "NB_Global": frozenset({"nb_cfg", "sb_cfg", "hv_cfg"}),
    "Logical_Router": frozenset({"name", "ports", "enabled", "policies", "static_routes", "external_ids"}),
    "Logical_Router_Port": frozenset({"name", "mac", "networks", "options", "ha_chassis_group", "external_ids"}),
    "Logical_Router_Policy": frozenset({"priority", "match", "action", "nexthops", "bfd_sessions", "external_ids"}),
    "Logical_Router_Static_Route": frozenset(
        {"ip_prefix", "nexthop", "policy", "route_table", "options", "bfd", "output_port", "external_ids"}
    ),
    "Logical_Switch": frozenset({"name", "external_ids"}),
    "Port_Group": frozenset({"name", "ports", "external_ids"}),
    "HA_Chassis_Group": frozenset({"name", "ha_chassis", "external_ids"}),
    "HA_Chassis": frozenset({"chassis_name", "priority", "external_ids"}),
    "BFD": frozenset({"logical_port", "dst_ip", "min_rx", "min_tx", "detect_mult", "status", "external_ids"}),
}
SELECTION_FIELDS: Final = "selection_fields"
ROUTES: Final = "Logical_Router_Static_Route"
_SRC_IP: Final = "src-ip"
_SHOWN_MAX: Final = 4


def has_patches(cluster: Cluster | Unreached, northbound: Northbound | Unreached | None) -> bool | None:
    """Whether this OVN has Kube-OVN's patches; None where nothing shows it.

    A session on a `bfd-only` port without a peer runs with the patches only (docs/decisions/0009, 0017). Before there
    is one, the image of ovn-central is what is left: Kube-OVN's own holds its own OVN.
    """
    if isinstance(northbound, Northbound) and any(port.up and not port.peered for port in northbound.bfd_ports):
        return True
    if isinstance(cluster, Cluster) and cluster.central is not None and "kube-ovn" in cluster.central.image:
        return True
    return None


def judge(cluster: Cluster | Unreached, northbound: Northbound | Unreached | None, given: Values) -> Iterator[Finding]:
    """What follows from the Northbound database, under the settings that are given."""
    yield from _patches(cluster, northbound, given)
    match northbound:
        case None:
            follows = "what OVN lacks, and src-ip routes of others, are not known: set VEG_NB_REMOTE"
            yield unknown("ovn.schema", "OVN Northbound", "was not looked at", follows)
        case Unreached():
            follows = "the ovn-writer writes nothing before it is reached: see VEG_NB_REMOTE"
            found = f"no answer from {northbound.where}: {northbound.reason}"
            yield blocker("ovn.schema", "OVN Northbound", found, follows)
        case Northbound():
            yield _schema(northbound)
            yield _hashing(northbound)
            yield from _routes(northbound.routes, given)


def _schema(northbound: Northbound) -> Finding:
    where = f"schema version {northbound.version}{f', northd {northbound.northd}' if northbound.northd else ''}"
    lacking = [
        f"{table}.{column}" for table, columns in NEEDED.items() for column in sorted(columns - _of(northbound, table))
    ]
    if lacking:
        follows = "OVN 24.03 or newer is needed (docs/support-matrix.md)"
        return blocker("ovn.schema", "OVN Northbound", f"{where}, lacks {', '.join(lacking)}", follows)
    return ok("ovn.schema", "OVN Northbound", where)


def _of(northbound: Northbound, table: str) -> frozenset[str]:
    return northbound.columns.get(table, frozenset())


def _hashing(northbound: Northbound) -> Finding:
    identity, thing = "ovn.selection-fields", f"{ROUTES}.{SELECTION_FIELDS}"
    if SELECTION_FIELDS in _of(northbound, ROUTES):
        return ok(identity, thing, "is there: static routes hash by source address")
    follows = "static routes hash five header fields: one client may leave under several addresses"
    return limit(identity, thing, "the schema lacks it (an OVN older than 25.03)", follows)


def _patches(
    cluster: Cluster | Unreached, northbound: Northbound | Unreached | None, given: Values
) -> Iterator[Finding]:
    identity, thing, found = "ovn.patches", "OVN", has_patches(cluster, northbound)
    ports = northbound.bfd_ports if isinstance(northbound, Northbound) else ()
    dual = isinstance(cluster, Cluster) and any(addresses.of_family(each.cidr, "6") for each in cluster.subnets)
    if found:
        yield ok(identity, thing, f"has Kube-OVN's patches ({_sign(ports)})")
        if dual:
            follows = "spread them over several gateways, or over VPCs that have static routes"
            text = "with these patches all IPv6 sources of a policy take one gateway pod"
            yield limit("ovn.ipv6-hashing", thing, text, follows)
        return
    makes = isinstance(cluster, Cluster) and kube_ovn.makes_bfd_ports(cluster)
    if makes and given.bfd_relay != "on":
        text = f"whether it has Kube-OVN's patches could not be seen, and VEG_BFD_RELAY={given.bfd_relay}"
        follows = "without them no BFD session runs with pods on other nodes than the port's: set VEG_BFD_RELAY=on"
        yield limit(identity, thing, text, follows)
        return
    text = "nothing shows Kube-OVN's patches, and nothing here needs them"
    yield ok(identity, thing, text, "policies hash connections: one client may leave under several addresses")


def _sign(ports: tuple[BfdPort, ...]) -> str:
    up = next((port.name for port in ports if port.up and not port.peered), "")
    return f"a session of {up} is up without a peer" if up else "its image is Kube-OVN's"


def strange(routes: tuple[Route, ...], router: str) -> tuple[Route, ...]:
    """The src-ip routes of a router that are not ours."""
    return tuple(route for route in routes if route.router == router and route.policy == _SRC_IP and not route.ours)


def _routes(routes: tuple[Route, ...], given: Values) -> Iterator[Finding]:
    """Of each router, the src-ip routes of others: OVN would put ours into one ECMP group with them."""
    found = sorted((each for each in routes if each.policy == _SRC_IP and not each.ours), key=lambda each: each.router)
    for router, group in groupby(found, key=lambda each: each.router):
        theirs = sorted({f"{route.prefix} -> {route.nexthop}" for route in group})
        left = len(theirs) - _SHOWN_MAX
        shown = ", ".join(theirs[:_SHOWN_MAX]) + (f" and {left} more" if left > 0 else "")
        identity, thing, text = (
            "ovn.src-ip",
            f"Logical_Router {router}",
            f"has src-ip routes that are not ours: {shown}",
        )
        if given.custom_vpc_routing == "static-route" and router != given.default_vpc:
            follows = "sources of these prefixes get no way to a gateway: set VEG_CUSTOM_VPC_ROUTING=auto"
            yield blocker(identity, thing, text, follows)
        else:
            yield ok(identity, thing, text, "sources of these prefixes go by policies")
