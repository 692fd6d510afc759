"""The spec of a VpcEgressGateway, as the user's document has it: parsed, defaulted, and checked once more.

The CRD's schema checks the same rules and bounds, but not what was stored before it had them.
"""

import re
from typing import Annotated, Any, Final, Literal

import msgspec

from veg_contracts import addresses
from veg_contracts.base import Value
from veg_contracts.configuration import PlannerSettings

_TIMER_MS_MAX: Final = 3_600_000
_REPLICAS_MAX: Final = 10
_LABEL_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")
_NODE_OPERATORS: Final = (*_LABEL_OPERATORS, "Gt", "Lt")

Replicas = Annotated[int, msgspec.Meta(ge=0, le=_REPLICAS_MAX)]
TimerMs = Annotated[int, msgspec.Meta(ge=1, le=_TIMER_MS_MAX)]
Multiplier = Annotated[int, msgspec.Meta(ge=1, le=255)]
Prefix = Annotated[
    str,
    msgspec.Meta(pattern=r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*[-.]?$", max_length=253),
]
# The bounds of the CRD, which says why there are any.
Name = Annotated[str, msgspec.Meta(max_length=253)]
Image = Annotated[str, msgspec.Meta(max_length=512)]
LabelKey = Annotated[str, msgspec.Meta(max_length=317)]  # a prefix of 253, a slash, a name of 63
LabelValue = Annotated[str, msgspec.Meta(max_length=63)]
Labels = Annotated[dict[str, LabelValue], msgspec.Meta(max_length=100)]
Address = Annotated[str, msgspec.Meta(max_length=100)]
Addresses = Annotated[tuple[Address, ...], msgspec.Meta(max_length=100)]
Block = Annotated[str, msgspec.Meta(max_length=64)]
Quantity = Annotated[str, msgspec.Meta(max_length=64)]
Quantities = Annotated[dict[str, int | Quantity], msgspec.Meta(max_length=100)]


class _Camel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Fields as Kubernetes spells them."""


class Requirement(_Camel, frozen=True, kw_only=True):
    """One expression of a selector."""

    key: LabelKey
    operator: str
    values: Annotated[tuple[Name, ...], msgspec.Meta(max_length=1000)] = ()


Requirements = Annotated[tuple[Requirement, ...], msgspec.Meta(max_length=100)]


class Selector(_Camel, frozen=True, kw_only=True):
    """A label selector."""

    match_labels: Labels = {}
    match_expressions: Requirements = ()


class PodSelector(_Camel, frozen=True, kw_only=True):
    """Pods in namespaces; None matches all."""

    namespace_selector: Selector | None = None
    pod_selector: Selector | None = None


class NodeTerm(_Camel, frozen=True, kw_only=True):
    """One term of the node selector; the terms are ORed."""

    match_labels: Labels = {}
    match_expressions: Requirements = ()
    match_fields: Requirements = ()


class Bfd(_Camel, frozen=True, kw_only=True):
    """BFD timers in milliseconds."""

    enabled: bool = False
    min_rx: TimerMs = msgspec.field(name="minRX", default=1000)
    min_tx: TimerMs = msgspec.field(name="minTX", default=1000)
    multiplier: Multiplier = 3


class Policy(_Camel, frozen=True, kw_only=True):
    """Sources by CIDR or subnet."""

    snat: bool = False
    ip_blocks: Annotated[tuple[Block, ...], msgspec.Meta(max_length=1000)] = ()
    subnets: Annotated[tuple[Name, ...], msgspec.Meta(max_length=1000)] = ()


class Toleration(_Camel, frozen=True, kw_only=True, omit_defaults=True):
    """A taint that the pods tolerate, as Kubernetes has it."""

    key: LabelKey = ""
    operator: Literal["", "Exists", "Equal"] = ""
    value: LabelValue = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    toleration_seconds: int | None = None


class Resources(_Camel, frozen=True, kw_only=True, omit_defaults=True):
    """Computing resources of a container."""

    limits: Quantities = {}
    requests: Quantities = {}


class Spec(_Camel, frozen=True, kw_only=True):
    """`spec` with the document's defaults."""

    external_subnet: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
    vpc: Name = ""
    replicas: Replicas = 1
    prefix: Prefix = ""
    image: Image = ""
    internal_subnet: Name = ""
    internal_ips: Addresses = msgspec.field(name="internalIPs", default=())
    external_ips: Addresses = msgspec.field(name="externalIPs", default=())
    internal_ip_pool: Name = msgspec.field(name="internalIPPool", default="")
    external_ip_pool: Name = msgspec.field(name="externalIPPool", default="")
    bfd: Bfd = Bfd()
    policies: Annotated[tuple[Policy, ...], msgspec.Meta(max_length=1000)] = ()
    selectors: Annotated[tuple[PodSelector, ...], msgspec.Meta(max_length=1000)] = ()
    node_selector: Annotated[tuple[NodeTerm, ...], msgspec.Meta(max_length=100)] = ()
    traffic_policy: str = "Cluster"
    tolerations: Annotated[tuple[Toleration, ...], msgspec.Meta(max_length=100)] = ()
    resources: Resources = Resources()
    pod_anti_affinity: str = "Preferred"


def vpc_of(spec: Spec, settings: PlannerSettings) -> str:
    """The name of the gateway's VPC. The only place that knows what an empty `spec.vpc` means."""
    return spec.vpc or settings.default_vpc


class FieldError(Value, frozen=True, kw_only=True):
    """A field that is wrong: its path, its value, and what is allowed."""

    field: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.field}: {self.value}: {self.allowed}"


def parse(raw: dict[str, Any]) -> Spec | tuple[FieldError, ...]:
    """Read a spec, or say what is wrong with it."""
    present = {key: value for key, value in raw.items() if value is not None}
    try:
        spec = msgspec.convert(present, Spec)
    except msgspec.ValidationError as error:
        return (_from_msgspec(present, str(error)),)
    errors = (
        *_check_choices(spec),
        *_check_addresses("spec.internalIPs", spec.internal_ips, spec.replicas),
        *_check_addresses("spec.externalIPs", spec.external_ips, spec.replicas),
        *_check_pools(spec),
        *_check_policies(spec),
        *_check_selectors(spec),
    )
    return errors or spec


def _from_msgspec(raw: dict[str, Any], text: str) -> FieldError:
    """`Expected … - at `$.policies[0].snat`` as a field error that also has the value."""
    allowed, _, path = text.partition(" - at `$")
    path = path.rstrip("`")
    if missing := re.search(r"missing required field `([^`]+)`", allowed):
        return FieldError(field=f"spec{path}.{missing[1]}", value="absent", allowed="it is required")
    value: Any = raw
    for name, index in re.findall(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]", path):
        if isinstance(value, dict) and name:
            value = value.get(name, "absent")
        elif isinstance(value, list) and index:
            value = value[int(index)]
        elif isinstance(value, dict) and "of length <=" in allowed:
            value = max(value.values(), key=lambda each: len(str(each)))  # it is not said which
        else:
            break
    shown = _size(value) if "of length <=" in allowed else _show(value)
    return FieldError(field=f"spec{path}", value=shown, allowed=allowed.replace("`", ""))


def _size(value: Any) -> str:
    """Of what is too long, how long it is says more than how it begins."""
    return f"{len(value)} characters: {_show(value)}" if isinstance(value, str) else f"{len(value)} items"


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."  # noqa: PLR2004  # a message, not a dump


def _check_choices(spec: Spec) -> list[FieldError]:
    errors = []
    if spec.traffic_policy not in ("Cluster", "Local"):
        allowed = "Cluster or Local is allowed"
        errors.append(FieldError(field="spec.trafficPolicy", value=_show(spec.traffic_policy), allowed=allowed))
    if spec.pod_anti_affinity not in ("Required", "Preferred"):
        allowed = "Required or Preferred is allowed"
        errors.append(FieldError(field="spec.podAntiAffinity", value=_show(spec.pod_anti_affinity), allowed=allowed))
    return errors


def _check_addresses(field: str, items: tuple[str, ...], replicas: int) -> list[FieldError]:
    errors = []
    if items and len(items) < replicas:
        allowed = f"at least spec.replicas = {replicas} addresses are needed"
        errors.append(FieldError(field=field, value=f"{len(items)} addresses", allowed=allowed))
    for index, item in enumerate(items):
        if "/" in item or not addresses.are_valid(item):
            allowed = 'an address "v4", "v6" or "v4,v6" is allowed'
            errors.append(FieldError(field=f"{field}[{index}]", value=_show(item), allowed=allowed))
    return errors


def _check_pools(spec: Spec) -> list[FieldError]:
    errors = []
    for side, ips, pool in (
        ("internal", spec.internal_ips, spec.internal_ip_pool),
        ("external", spec.external_ips, spec.external_ip_pool),
    ):
        if ips and pool:
            allowed = f"spec.{side}IPs and spec.{side}IPPool are mutually exclusive"
            errors.append(FieldError(field=f"spec.{side}IPPool", value=_show(pool), allowed=allowed))
    return errors


def _check_policies(spec: Spec) -> list[FieldError]:
    errors = []
    if not spec.policies and not spec.selectors:
        allowed = "each VPC Egress Gateway must have at least one policy or selector"
        errors.append(FieldError(field="spec.policies", value="empty", allowed=allowed))
    for number, policy in enumerate(spec.policies):
        if not policy.ip_blocks and not policy.subnets:
            allowed = "each policy must have at least one of ipBlocks or subnets"
            errors.append(FieldError(field=f"spec.policies[{number}]", value="empty", allowed=allowed))
        for index, block in enumerate(policy.ip_blocks):
            try:
                addresses.masked(block)
            except ValueError:
                field = f"spec.policies[{number}].ipBlocks[{index}]"
                allowed = "an IPv4 or IPv6 address or CIDR is allowed"
                errors.append(FieldError(field=field, value=_show(block), allowed=allowed))
    return errors


def _check_selectors(spec: Spec) -> list[FieldError]:
    errors = []
    for number, item in enumerate(spec.selectors):
        for name, selector in (("namespaceSelector", item.namespace_selector), ("podSelector", item.pod_selector)):
            if selector is not None:
                field = f"spec.selectors[{number}].{name}.matchExpressions"
                errors += _check_requirements(field, selector.match_expressions, _LABEL_OPERATORS)
    for number, term in enumerate(spec.node_selector):
        for name, requirements in (("matchExpressions", term.match_expressions), ("matchFields", term.match_fields)):
            errors += _check_requirements(f"spec.nodeSelector[{number}].{name}", requirements, _NODE_OPERATORS)
    return errors


def _check_requirements(
    field: str, requirements: tuple[Requirement, ...], operators: tuple[str, ...]
) -> list[FieldError]:
    errors = []
    for index, requirement in enumerate(requirements):
        where = f"{field}[{index}]"
        if requirement.operator not in operators:
            allowed = f"{', '.join(operators)} are allowed"
            errors.append(FieldError(field=f"{where}.operator", value=_show(requirement.operator), allowed=allowed))
        elif (requirement.operator in ("In", "NotIn")) and not requirement.values:
            allowed = f"{requirement.operator} needs at least one value"
            errors.append(FieldError(field=f"{where}.values", value="empty", allowed=allowed))
        elif requirement.operator in ("Exists", "DoesNotExist") and requirement.values:
            allowed = f"{requirement.operator} takes no values"
            errors.append(FieldError(field=f"{where}.values", value=_show(requirement.values), allowed=allowed))
    return errors
