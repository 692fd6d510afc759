"""The settings that decisions depend on. They are in the log, so that a replay decides as it was decided then."""

from typing import Literal

from veg_contracts.base import Value
from veg_contracts.names import DEFAULT_VPC


class PlannerSettings(Value, frozen=True, kw_only=True):
    """What a planner is told by its operator.

    `image` is the gateway pods' image unless a gateway names one. `management_network` (`namespace/name` of a
    NetworkAttachmentDefinition, or empty) gives the pods their way to the bus at `agent_nats_url`;
    `agent_nats_secret` names the Secret with its `user` and `password` in the gateway's namespace.
    `custom_vpc_routing` says what sends traffic to the gateways in VPCs other than the default one: src-ip static
    routes, as the document shows, or policies, for Kube-OVN >= 1.14, which removes static routes that are not its own.
    """

    default_vpc: str = DEFAULT_VPC
    image: str = ""
    management_network: str = ""
    agent_nats_url: str = ""
    agent_nats_secret: str = ""
    custom_vpc_routing: Literal["static-route", "policy"] = "static-route"
