"""What the user's document says of one gateway, worked out from its custom resource and the cluster around it.

Written from the document, not from the planner: nothing of ours is imported here.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_interface, ip_network
from typing import Any

from support.snapshot import Snapshot

GATEWAY_LABEL = "ovn.kubernetes.io/vpc-egress-gateway"
DEFAULT_VPC = "ovn-cluster"
FAMILIES = ("4", "6")


def masked(text: str) -> str:
    return str(ip_interface(text.strip()).network)


def family(text: str) -> str:
    return str(ip_interface(text.strip()).version)


def by_family(text: str) -> dict[str, str]:
    """ "v4,v6" as family -> member."""
    return {family(part): part.strip() for part in text.split(",") if part.strip()}


def annotations(obj: Any) -> dict[str, str]:
    found: dict[str, str] = obj["metadata"].get("annotations") or {}
    return found


def labels(obj: Any) -> dict[str, str]:
    found: dict[str, str] = obj["metadata"].get("labels") or {}
    return found


def matches(selector: Any, found: dict[str, str]) -> bool:
    """Kubernetes' label selector; absent or empty, it matches everything."""
    selector = selector or {}
    if any(found.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for item in selector.get("matchExpressions") or []:
        key, values = item["key"], item.get("values") or []
        holds = {
            "In": found.get(key) in values,
            "NotIn": found.get(key) not in values,
            "Exists": key in found,
            "DoesNotExist": key not in found,
        }[item["operator"]]
        if not holds:
            return False
    return True


@dataclass(frozen=True)
class Gateway:
    """One VpcEgressGateway beside the cluster it is in."""

    obj: Any
    around: Snapshot

    @property
    def key(self) -> str:
        return f"{self.obj['metadata']['namespace']}/{self.obj['metadata']['name']}"

    @property
    def name(self) -> str:
        return str(self.obj["metadata"]["name"])

    @property
    def spec(self) -> Any:
        return self.obj["spec"]

    @property
    def status(self) -> Any:
        return self.obj.get("status") or {}

    @property
    def age(self) -> tuple[str, str]:
        """Sorts the oldest first."""
        return self.obj["metadata"]["creationTimestamp"], self.key

    @property
    def vpc(self) -> str:
        return self.spec.get("vpc") or DEFAULT_VPC

    @property
    def living(self) -> bool:
        return "deletionTimestamp" not in self.obj["metadata"]

    @property
    def ready(self) -> bool:
        """Whether it says that it is ready, of the spec as it is now."""
        conditions = [item for item in self.status.get("conditions", []) if item["type"] == "Ready"]
        generation = self.obj["metadata"]["generation"]
        current = any(item.get("observedGeneration") == generation for item in conditions)
        return bool(self.living and self.status.get("ready") and current)

    @property
    def port_group(self) -> str:
        return f"veg.{hashlib.sha256(self.key.encode()).hexdigest()[:12]}"

    @cached_property
    def internal(self) -> Any:
        name = self.spec.get("internalSubnet")
        if not name:
            vpc = self.around.named("Vpc", self.vpc)
            name = vpc["status"]["defaultLogicalSwitch"] if vpc else ""
        return self.around.named("Subnet", name)

    @cached_property
    def external(self) -> Any:
        return self.around.named("Subnet", self.spec["externalSubnet"])

    @property
    def internal_gateways(self) -> dict[str, str]:
        return by_family(self.internal["spec"]["gateway"])

    @property
    def external_gateways(self) -> dict[str, str]:
        return by_family(self.external["spec"]["gateway"])

    @property
    def attachment(self) -> str:
        name, namespace, *_ = self.external["spec"]["provider"].split(".")
        return f"{namespace}/{name}"

    @property
    def families(self) -> list[str]:
        """Those with a gateway on both sides."""
        if self.internal is None or self.external is None:
            return []
        return [each for each in FAMILIES if each in self.internal_gateways and each in self.external_gateways]

    @cached_property
    def sources(self) -> dict[str, bool]:
        """CIDR, without host bits -> whether its traffic leaves under the gateway's address."""
        found: dict[str, bool] = {}
        for policy in self.spec.get("policies") or []:
            blocks = list(policy.get("ipBlocks") or [])
            for name in policy.get("subnets") or []:
                subnet = self.around.named("Subnet", name)
                blocks += subnet["spec"]["cidrBlock"].split(",") if subnet else []
            for cidr in map(masked, blocks):
                if family(cidr) in self.families:
                    found[cidr] = found.get(cidr, False) or bool(policy.get("snat"))
        return found

    @property
    def selectors(self) -> list[Any]:
        return self.spec.get("selectors") or []

    @cached_property
    def pods(self) -> list[Any]:
        """The gateway's pods that are there to stay."""
        return [
            pod
            for pod in self.around.kind("Pod")
            if pod["metadata"]["namespace"] == self.obj["metadata"]["namespace"]
            and labels(pod).get(GATEWAY_LABEL) == self.name
            and "deletionTimestamp" not in pod["metadata"]
            and pod["status"].get("phase") == "Running"
        ]

    def nexthops(self, wanted: str, node: str = "") -> list[str]:
        """The addresses of that family that the pods, or those of one node, have in the VPC."""
        pods = [pod for pod in self.pods if node in ("", pod["spec"]["nodeName"])]
        return sorted(ip["ip"] for pod in pods for ip in pod["status"]["podIPs"] if family(ip["ip"]) == wanted)

    @property
    def nodes(self) -> list[str]:
        """Those with a pod of it."""
        return sorted({pod["spec"]["nodeName"] for pod in self.pods})

    @property
    def watched(self) -> bool:
        """Whether BFD is on."""
        return bool((self.spec.get("bfd") or {}).get("enabled"))

    @property
    def local(self) -> bool:
        return self.watched and self.spec.get("trafficPolicy") == "Local"

    @property
    def bfd_port(self) -> Any:
        """The BFD port of its VPC: `name` and `ip`."""
        vpc = self.around.named("Vpc", self.vpc)
        return (vpc.get("status") or {}).get("bfdPort") if vpc else None

    @property
    def peers(self) -> dict[str, str]:
        """Family -> the address that watches the pods in it."""
        port = self.bfd_port if self.watched else None
        found = by_family((port or {}).get("ip") or "")
        return {each: found[each] for each in self.families if each in found}

    def selects(self, pod: Any) -> bool:
        """Whether a selector names this pod, and it is one that can be in a VPC's port group."""
        if GATEWAY_LABEL in labels(pod) or pod["spec"].get("hostNetwork"):
            return False
        found = annotations(pod)
        if found.get("ovn.kubernetes.io/allocated") != "true":
            return False
        if found.get("ovn.kubernetes.io/logical_router") != self.vpc:
            return False
        namespace = self.around.named("Namespace", pod["metadata"]["namespace"])
        return any(
            matches(selector.get("namespaceSelector"), labels(namespace) if namespace else {})
            and matches(selector.get("podSelector"), labels(pod))
            for selector in self.selectors
        )

    def vpc_cidrs(self, wanted: str) -> Iterator[str]:
        """The CIDRs of that family of the overlay subnets of the VPC."""
        for subnet in self.around.kind("Subnet"):
            spec = subnet["spec"]
            if spec.get("provider", "ovn") == "ovn" and spec.get("vpc", DEFAULT_VPC) == self.vpc:
                cidr = by_family(spec.get("cidrBlock", "")).get(wanted)
                if cidr:
                    yield masked(cidr)

    def is_inside(self, cidr: str) -> bool:
        """Whether the internal subnet contains it, so that the way back needs no route."""
        internal = by_family(self.internal["spec"]["cidrBlock"]).get(family(cidr))
        return internal is not None and ip_network(cidr).subnet_of(ip_network(internal))  # type: ignore[arg-type]


def gateways(around: Snapshot) -> list[Gateway]:
    """All of them, the oldest first."""
    return sorted((Gateway(obj, around) for obj in around.kind("VpcEgressGateway")), key=lambda item: item.age)


@dataclass(frozen=True)
class Claims:
    """What is whose, of the sources that several gateways of a VPC name: the oldest has it."""

    own: dict[str, bool]
    lost: set[str]
    open: set[str]
    """Claimed by an older one that is not ready: it may have taken it or not."""


def claims(gateway: Gateway, everybody: list[Gateway]) -> Claims:
    older = [item for item in everybody if item.living and item.vpc == gateway.vpc and item.age < gateway.age]
    lost = {cidr for item in older if item.ready for cidr in item.sources} & gateway.sources.keys()
    unclear = ({cidr for item in older if not item.ready for cidr in item.sources} & gateway.sources.keys()) - lost
    own = {cidr: snat for cidr, snat in gateway.sources.items() if cidr not in lost | unclear}
    return Claims(own, lost, unclear)
