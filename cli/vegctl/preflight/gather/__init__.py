"""The shell of preflight: looks at Kubernetes, OVN and NATS at once, each within its time. Writes nothing anywhere."""

import asyncio

from vegctl.preflight.facts import Facts
from vegctl.preflight.gather import kubernetes, nats, northbound
from vegctl.preflight.settings import PreflightSettings

__all__ = ["facts"]


async def facts(settings: PreflightSettings, vpcs: tuple[str, ...]) -> Facts:
    """What is there; `vpcs` are those that are to have a gateway. A server that is not reached is a fact as well."""
    asked = settings.asked(vpcs)
    cluster, database, bus = await asyncio.gather(
        kubernetes.look(asked), northbound.look(settings.nb_remote, settings.ovn_tls), nats.look(settings)
    )
    return Facts(asked=asked, cluster=cluster, northbound=database, bus=bus)
