"""The settings that decisions depend on. They are in the log, so that a replay decides as it was decided then."""

from typing import Literal

from veg_contracts.base import Value
from veg_contracts.names import BFD_RELAY_IPS, DEFAULT_VPC, KUBE_OVN_GROUP, ApiGroup


class PlannerSettings(Value, frozen=True, kw_only=True):
    """What a planner is told by its operator.

    `image` is the gateway pods' image unless a gateway names one. `agent_nats_url` is the bus as the pods reach it:
    addresses, not names, so that they need no name server. `agent_nats_via` says how: "cluster", it is a Service or a
    node, and pods in the default VPC have a way of their own over eth0, pods in others over `management_network`
    (`namespace/name` of a NetworkAttachmentDefinition whose Subnet, of the provider `<name>.<namespace>.ovn`, is in the
    default VPC; or empty); "external", it is outside, where the pods' default route leads. Where that is a
    `tls://` URL, `agent_nats_tls_ca` (PEM; empty: the authorities of their image) and `agent_nats_tls_server_name`
    (empty: the host in the URL) say whom the pods trust. An authority's certificate is public, so it needs no Secret.
    `custom_vpc_routing` says what sends traffic to the gateways in VPCs other than the default one: src-ip static
    routes, as the document shows, or policies. "auto" takes routes, and policies for a source for which somebody else
    has a src-ip route on the same router, as Kube-OVN >= 1.14 has for each subnet: both would be one ECMP group.
    `api_group` is that of VpcEgressGateway: the Deployments name their owner by it.
    `manage_bfd_ports` is off where Kube-OVN itself makes the ports of `Vpc.spec.bfdPort`.
    `bfd_relay`: whether pods reach a BFD port by a relay of ours, which an OVN without Kube-OVN's patch needs; "auto"
    is on for ports that we make and off for Kube-OVN's own, whose OVN has that patch. The planner's default is "auto";
    it is "off" here, since a log of before there were relays had none. `bfd_relay_ips`: its addresses, one of a family.
    `disruption_budgets`: whether each gateway has a PodDisruptionBudget. The planner's default is on; it is off here,
    since a log of before there were budgets had none.
    A BFD session that goes down for the `flap_count`th time within `flap_window_s` is taken back only when it has been
    up for `flap_hold_s`, twice as long each further time, `flap_hold_max_s` at most. 0 counts nothing as flapping.
    """

    default_vpc: str = DEFAULT_VPC
    api_group: ApiGroup = KUBE_OVN_GROUP
    image: str = ""
    management_network: str = ""
    agent_nats_url: str = ""
    agent_nats_via: Literal["cluster", "external"] = "cluster"
    agent_nats_tls_ca: str = ""
    agent_nats_tls_server_name: str = ""
    custom_vpc_routing: Literal["auto", "static-route", "policy"] = "auto"
    manage_bfd_ports: bool = True
    bfd_relay: Literal["auto", "on", "off"] = "off"
    bfd_relay_ips: str = BFD_RELAY_IPS
    disruption_budgets: bool = False
    flap_count: int = 3
    flap_window_s: int = 60
    flap_hold_s: int = 10
    flap_hold_max_s: int = 120
