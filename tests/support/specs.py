"""Specs for fuzzing: valid ones over every field of the CRD, valid ones with one thing broken, and garbage.

And a cluster in which most of the names in them mean something: two families, two VPCs, several subnets.
"""

import copy
from collections.abc import Iterator
from typing import Any, Final

from hypothesis import strategies as st

from veg_contracts.objects import AnyProjection, IPPool, Namespace, NetworkAttachment, Pod, Subnet, Vpc

Path = tuple[str | int, ...]


def _subnet(name: str, vpc: str, cidr: str, gateway: str, provider: str = "ovn") -> Subnet:
    return Subnet(name=name, vpc=vpc, provider=provider, cidr=cidr, gateway=gateway, validated=True)


def _client(name: str, router: str, namespace: str = "default") -> Pod:
    labels = {"app": "web", "tier": name}
    return Pod(
        namespace=namespace, name=name, labels=labels, phase="Running", allocated=True, logical_router=router, node="n"
    )


CLUSTER: Final[tuple[AnyProjection, ...]] = (
    Vpc(name="ovn-cluster", router="ovn-cluster", default_subnet="ovn-default"),
    Vpc(name="vpc1", router="vpc1", default_subnet="subnet1"),
    Vpc(name="vpc6", router="vpc6", default_subnet="subnet6"),
    Vpc(name="vpc-new"),
    Vpc(name="vpc-bare", router="vpc-bare"),
    _subnet("ovn-default", "ovn-cluster", "10.16.0.0/16,fd00:10:16::/112", "10.16.0.1,fd00:10:16::1"),
    _subnet("second", "", "10.17.0.0/16", "10.17.0.1"),
    _subnet("subnet1", "vpc1", "192.168.0.0/24", "192.168.0.1"),
    _subnet("subnet2", "vpc1", "192.168.1.0/24,fd00:192:168:1::/64", "192.168.1.1,fd00:192:168:1::1"),
    _subnet("subnet6", "vpc6", "fd00:66::/64", "fd00:66::1"),
    Subnet(name="unvalidated", vpc="vpc1", provider="ovn", cidr="192.168.2.0/24", gateway="192.168.2.1"),
    _subnet("no-gateway", "vpc1", "192.168.3.0/24", ""),
    _subnet("no-cidr", "vpc1", "what?", "192.168.3.1"),
    _subnet("macvlan1", "", "172.17.0.0/16", "172.17.0.1", "eth1.default"),
    _subnet("macvlan6", "", "fc00:172:17::/64", "fc00:172:17::1", "eth1.default.ovn"),
    _subnet("macvlan46", "", "172.18.0.0/16,fc00:172:18::/64", "172.18.0.1,fc00:172:18::1", "eth1.default"),
    _subnet("macvlan-lost", "", "172.19.0.0/16", "172.19.0.1", "eth9.default"),
    _subnet("veg-mgmt", "ovn-cluster", "10.250.0.0/16", "10.250.0.1", "veg-mgmt.kube-system.ovn"),
    NetworkAttachment(namespace="default", name="eth1", config="{}"),
    IPPool(name="inside", subnet="ovn-default", ips=("10.16.5.0/24",)),
    IPPool(name="outside", subnet="macvlan1", ips=("172.17.5.0/24",)),
    Namespace(name="default", labels={"team": "red"}),
    Namespace(name="other", labels={"team": "blue"}),
    _client("a", "ovn-cluster"),
    _client("b", "ovn-cluster", "other"),
    _client("c", "vpc1"),
    _client("d", "vpc6", "other"),
)

SUBNETS: Final = ("ovn-default", "second", "subnet1", "subnet2", "subnet6")
_ODD_SUBNETS: Final = ("unvalidated", "no-gateway", "no-cidr", "macvlan1", "missing")
_EXTERNAL: Final = ("macvlan1", "macvlan1", "macvlan6", "macvlan46")
_ODD_EXTERNAL: Final = ("macvlan-lost", "ovn-default", "missing")


def _mostly(usual: tuple[str, ...], odd: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.sampled_from((*usual, *usual, *usual, *odd))


_ADDRESS = st.ip_addresses().map(str)
BLOCKS: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(["10.16.0.0/16", "10.16.0.9/16", "10.17.0.0/24", "192.168.0.0/24", "0.0.0.0/0", "::/0"]),
    st.sampled_from(["fd00:10:16::/112", "fd00:66::/64", "fd00:66::9", "::ffff:10.0.0.1/128", "10.0.0.0/255.0.0.0"]),
    _ADDRESS,
    st.builds(lambda address, length: f"{address}/{length}", st.ip_addresses(v=4), st.integers(0, 32)),
    st.builds(lambda address, length: f"{address}/{length}", st.ip_addresses(v=6), st.integers(0, 128)),
)
_LABEL = st.sampled_from(["app", "team", "tier", "kubernetes.io/hostname", "ovn.kubernetes.io/vpc-egress-gateway"])
_LABEL_VALUE = st.sampled_from(["web", "red", "blue", "a", "", "kube-ovn-worker"])
_LABELS = st.dictionaries(_LABEL, _LABEL_VALUE, max_size=2)


def _requirements(operators: tuple[str, ...]) -> st.SearchStrategy[list[dict[str, Any]]]:
    with_values = {"key": _LABEL, "operator": st.sampled_from(["In", "NotIn"])}
    without = {"key": _LABEL, "operator": st.sampled_from(["Exists", "DoesNotExist"])}
    made = st.fixed_dictionaries(with_values | {"values": st.lists(_LABEL_VALUE, min_size=1, max_size=2)})
    one: st.SearchStrategy[dict[str, Any]] = made | st.fixed_dictionaries(without, optional={"values": st.just([])})
    if "Gt" in operators:
        one |= st.fixed_dictionaries(
            {"key": _LABEL, "operator": st.sampled_from(["Gt", "Lt"]), "values": st.just(["4"])}
        )
    return st.lists(one, max_size=2)


_LABEL_SELECTOR = st.fixed_dictionaries({}, optional={"matchLabels": _LABELS, "matchExpressions": _requirements(())})
_SELECTORS = st.lists(
    st.fixed_dictionaries({}, optional={"namespaceSelector": _LABEL_SELECTOR, "podSelector": _LABEL_SELECTOR}),
    min_size=1,
    max_size=2,
)
_BY_BLOCKS = st.fixed_dictionaries(
    {"ipBlocks": st.lists(BLOCKS, min_size=1, max_size=4)},
    optional={"snat": st.booleans(), "subnets": st.lists(st.sampled_from(SUBNETS), max_size=2)},
)
_BY_SUBNETS = st.fixed_dictionaries(
    {"subnets": st.lists(_mostly(SUBNETS, _ODD_SUBNETS), min_size=1, max_size=3)},
    optional={"snat": st.booleans(), "ipBlocks": st.lists(BLOCKS, max_size=2)},
)
POLICIES = st.lists(_BY_BLOCKS | _BY_SUBNETS, min_size=1, max_size=3)
_IPS = st.lists(
    st.sampled_from(["10.16.0.77", "172.17.0.9", "172.17.0.10", "172.17.0.11,fc00:172:17::11", "fd00:66::5"]),
    max_size=3,
)
_TIMER = st.integers(1, 3_600_000)
_QUANTITY = st.sampled_from(["10m", "1", "64Mi"])

_OPTIONAL: Final[dict[str, st.SearchStrategy[Any]]] = {
    "vpc": _mostly(("", "ovn-cluster", "vpc1", "vpc1", "vpc6"), ("vpc-new", "vpc-bare", "missing")),
    "replicas": st.integers(0, 3),
    "prefix": st.sampled_from(["", "veg-", "a.b-"]),
    "image": st.sampled_from(["", "registry/image:tag"]),
    "internalSubnet": _mostly(("", "", "", *SUBNETS), _ODD_SUBNETS),
    "bfd": st.fixed_dictionaries(
        {},
        optional={"enabled": st.booleans(), "minRX": _TIMER, "minTX": _TIMER, "multiplier": st.integers(1, 255)},
    ),
    "nodeSelector": st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "matchLabels": _LABELS,
                "matchExpressions": _requirements(("Gt",)),
                "matchFields": st.just([{"key": "metadata.name", "operator": "In", "values": ["kube-ovn-worker"]}]),
            },
        ),
        max_size=2,
    ),
    "trafficPolicy": st.sampled_from(["Cluster", "Local"]),
    "tolerations": st.lists(
        st.fixed_dictionaries({"operator": st.just("Exists")}, optional={"key": _LABEL}), max_size=1
    ),
    "resources": st.fixed_dictionaries({}, optional={"limits": st.dictionaries(st.just("cpu"), _QUANTITY)}),
    "podAntiAffinity": st.sampled_from(["Required", "Preferred"]),
}
_ADDRESSED: Final[dict[str, st.SearchStrategy[Any]]] = {
    "internalIPs": _IPS,
    "externalIPs": _IPS,
    "internalIPPool": st.sampled_from(["", "inside", "outside", "missing"]),
    "externalIPPool": st.sampled_from(["", "outside", "inside", "missing"]),
}
FIELDS: Final = ("externalSubnet", "policies", "selectors", *_OPTIONAL, *_ADDRESSED)


def plain(**fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Specs that ask for no particular addresses; `fixed` fields are as they say."""
    required = {"externalSubnet": _mostly(_EXTERNAL, _ODD_EXTERNAL)} | fixed
    optional = {name: value for name, value in _OPTIONAL.items() if name not in fixed}
    by_policies = st.fixed_dictionaries(
        {"policies": POLICIES} | required, optional=optional | {"selectors": _SELECTORS}
    )
    by_selectors = st.fixed_dictionaries(required | {"selectors": _SELECTORS}, optional=optional)
    return by_policies | by_selectors


VALID: st.SearchStrategy[dict[str, Any]] = st.one_of(
    plain(),
    plain(),
    plain(),
    st.builds(lambda one, other: one | other, plain(), st.fixed_dictionaries({}, optional=_ADDRESSED)),
)

_TEXT = st.text(max_size=8)
_LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    _TEXT,
    st.sampled_from(
        ["10.0.0.0/33", "10.0.0.1,fd00::1", "fe80::1%eth0", "1.2.3", "::g", " ", "10.0.0.1/", "0x7f.1", "٣.1.1.1"]
    ),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    _LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


GARBAGE: st.SearchStrategy[dict[str, Any]] = st.dictionaries(st.sampled_from((*FIELDS, "unknown")), JSON, max_size=6)
CROSSED: Final = 5


@st.composite
def families(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Specs that are related, which takes less time than as many that are not: two valid ones, some that have each
    field of the one or the other, one in which a value at some depth is another one or is gone, and garbage.
    """
    one, other = draw(VALID), draw(VALID)
    crossed = [
        {name: (one if draw(st.booleans()) else other).get(name) for name in {**one, **other}} for _ in range(CROSSED)
    ]
    broken = copy.deepcopy(draw(st.sampled_from([one, other])))
    *above, last = draw(st.sampled_from(list(_paths(broken))))
    place: Any = broken
    for name in above:
        place = place[name]
    if draw(st.booleans()):
        del place[last]
    else:
        place[last] = draw(JSON)
    return [one, other, *crossed, broken, draw(GARBAGE)]


def _paths(value: Any, above: Path = ()) -> Iterator[Path]:
    if above:
        yield above
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from _paths(inner, (*above, name))
