"""The planner as a process: stand by until the lease is free, lead until it is lost, and so on."""

import asyncio
import os
import re
import socket
from ipaddress import ip_address
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
import sqlalchemy as sa
from nats.aio.client import Client

from veg_contracts import addresses
from veg_contracts.configuration import PlannerSettings
from veg_contracts.names import BFD_RELAY_IPS, DEFAULT_VPC, KUBE_OVN_GROUP, ApiGroup
from veg_planner import metrics
from veg_planner.leader import Leader
from veg_planner.store import lease as leases
from veg_planner.store.lease import Lease, LeaseLostError
from veg_planner.store.unit import DatabaseError, create_engine, explain, is_database_url
from veg_runtime import bus, clock, logs, tls
from veg_runtime.service import Health, run
from veg_runtime.settings import Settings, SettingsError, refuse_credential, refuse_idle_tls

_STAND_BY_S: Final = 1.0
# An authority or two, and the next ones beside them; a bundle of a whole system's has 200 KB.
_AUTHORITIES_LENGTH_MAX: Final = 16_384
_KEY: Final = re.compile(r"[a-z0-9-]+/[a-z0-9.-]+")

log = logs.get("main")


# Whatever lies outside is a mistake, and times that far away cannot be computed with. The ranges are not those of
# `PlannerSettings`: a log may hold others, of before there were any, and must be readable.
_Seconds: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=86_400)]
_LeaseSeconds: TypeAlias = Annotated[float, msgspec.Meta(ge=1, le=3_600)]
_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1_000)]


class ServiceSettings(Settings, frozen=True, kw_only=True):
    """The planner's environment, `VEG_…` each.

    `planner_id` names this planner in the lease; only one process may have it. Empty: a new name at every start, which
    then waits up to `lease_ttl_s` for the lease of a predecessor that was killed. The rest is `PlannerSettings`.
    """

    postgres_url: str
    planner_id: str = ""
    lease_ttl_s: _LeaseSeconds = 5.0
    default_vpc: str = DEFAULT_VPC
    api_group: ApiGroup = KUBE_OVN_GROUP
    gateway_image: str = ""
    management_network: str = ""
    agent_nats_url: str = ""
    agent_nats_via: Literal["cluster", "external"] = "cluster"
    agent_nats_tls_ca: str = ""
    agent_nats_tls_server_name: str = ""
    custom_vpc_routing: Literal["auto", "static-route", "policy"] = "auto"
    manage_bfd_ports: Literal["auto", "true", "false"] = "auto"
    bfd_relay: Literal["auto", "on", "off"] = "auto"
    bfd_relay_ips: str = BFD_RELAY_IPS
    disruption_budgets: bool = True
    flap_count: _Count = 3
    flap_window_s: _Seconds = 60
    flap_hold_s: _Seconds = 10
    flap_hold_max_s: _Seconds = 120

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        super().__post_init__()
        refuse_credential("agent_nats_url", self.agent_nats_url, "gateway pods show their token")
        names = ("agent_nats_tls_ca", "agent_nats_tls_server_name")
        refuse_idle_tls("agent_nats_url", self.agent_nats_url, {name: getattr(self, name) for name in names})
        _agents_authorities(self.agent_nats_tls_ca)
        if not is_database_url(self.postgres_url):
            hint = "no URL of a database; in a password @ is written %40, : %3A"
            raise SettingsError(f"environment variable VEG_POSTGRES_URL: {hint}")
        _relay_ips(self.bfd_relay_ips)
        if self.management_network and not _KEY.fullmatch(self.management_network):
            said = f"{self.management_network!r}: namespace/name of a NetworkAttachmentDefinition is allowed"
            raise SettingsError(f"environment variable VEG_MANAGEMENT_NETWORK: {said}")

    def planning(self) -> PlannerSettings:
        """What decisions depend on."""
        return PlannerSettings(
            default_vpc=self.default_vpc,
            api_group=self.api_group,
            image=self.gateway_image,
            management_network=self.management_network,
            agent_nats_url=self.agent_nats_url,
            agent_nats_via=self.agent_nats_via,
            agent_nats_tls_ca=_agents_authorities(self.agent_nats_tls_ca),
            agent_nats_tls_server_name=self.agent_nats_tls_server_name,
            custom_vpc_routing=self.custom_vpc_routing,
            manage_bfd_ports=self.makes_bfd_ports,
            bfd_relay=self.bfd_relay,
            bfd_relay_ips=_relay_ips(self.bfd_relay_ips),
            disruption_budgets=self.disruption_budgets,
            flap_count=self.flap_count,
            flap_window_s=self.flap_window_s,
            flap_hold_s=self.flap_hold_s,
            flap_hold_max_s=self.flap_hold_max_s,
        )

    @property
    def makes_bfd_ports(self) -> bool:
        """A group of our own means a Kube-OVN with gateways of its own, and such a one makes the ports too."""
        own = self.api_group != KUBE_OVN_GROUP
        return not own if self.manage_bfd_ports == "auto" else self.manage_bfd_ports == "true"

    def holder(self) -> str:
        """Who this process is in the lease."""
        return self.planner_id or f"{socket.gethostname()}/{os.getpid()}/{clock.unique_id()[:8]}"


def _agents_authorities(pem: str) -> str:
    """The certificates alone, as they go into the pods' environment, the log and every Deployment.

    Raises:
        SettingsError: they are none, or too many.
    """
    found = tls.authorities("VEG_AGENT_NATS_TLS_CA", pem)
    if len(found) > _AUTHORITIES_LENGTH_MAX:
        limit = f"at most {_AUTHORITIES_LENGTH_MAX} characters are allowed: name the one authority of the bus"
        raise SettingsError(f"VEG_AGENT_NATS_TLS_CA: {len(found)} characters: {limit}")
    return found


def _relay_ips(text: str) -> str:
    """The addresses in their canonical form, IPv4 first.

    Raises:
        SettingsError: they are not one of a family, or none that a host can have.
    """
    try:
        found = sorted((ip_address(part) for part in addresses.split(text)), key=lambda ip: ip.version)
    except ValueError:
        found = []
    usable = not any(ip.is_multicast or ip.is_unspecified or ip.is_loopback for ip in found)
    if not found or len({ip.version for ip in found}) != len(found) or not usable:
        hint = 'an address "v4", "v6" or "v4,v6" is needed, that is in no Subnet of a VPC'
        raise SettingsError(f"environment variable VEG_BFD_RELAY_IPS: {text!r}: {hint}")
    return ",".join(map(str, found))


async def work(settings: ServiceSettings, health: Health, stop: asyncio.Event) -> None:
    """Stand by and lead in turn, until stopped."""
    engine = create_engine(settings.postgres_url)
    client = await bus.connect(settings, "planner")
    holder = settings.holder()
    try:
        while not stop.is_set():
            lease = await _stand_by(engine, holder, settings.lease_ttl_s, health)
            log.info("leading", holder=holder, fence=lease.fence)
            await _lead(engine, client, lease, settings, health)
    finally:
        await client.close()
        engine.dispose()


async def _stand_by(engine: sa.Engine, holder: str, ttl_s: float, health: Health) -> Lease:
    while True:
        try:
            lease = await asyncio.to_thread(leases.acquire, engine, holder, ttl_s)
        except (DatabaseError, sa.exc.TimeoutError) as error:
            log.warning("database not reached, trying again", error=explain(error))
            health.set(False, "waits for the database")
        else:
            if lease is not None:
                return lease
            health.set(True, "standing by")
        await asyncio.sleep(_STAND_BY_S)


async def _lead(engine: sa.Engine, client: Client, lease: Lease, settings: ServiceSettings, health: Health) -> None:
    metrics.LEADING.set(1)
    health.set(False, f"begins to lead with fence {lease.fence}")
    try:
        await Leader(engine, client, lease, health).lead(settings.planning())
    except LeaseLostError as error:
        log.warning("no longer leading", fence=lease.fence, reason=str(error))
        health.set(False, "lost the lease")
    except asyncio.CancelledError:
        # A clean stop: the next one need not wait for the lease to run out.
        await asyncio.to_thread(leases.release, engine, lease)
        raise
    finally:
        metrics.LEADING.set(0)


def main() -> None:
    """The planner, until SIGTERM or SIGINT."""
    run("planner", ServiceSettings, work)
