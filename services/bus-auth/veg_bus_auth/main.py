"""The service: one subscription to the questions of the bus, one connection to the API server."""

import asyncio
from typing import Final

from nats.aio.client import Client

from veg_bus_auth.answer import Answerer, Keys
from veg_bus_auth.api import Api, UnansweredError
from veg_contracts import permissions, subjects
from veg_contracts.names import KUBE_OVN_GROUP, ApiGroup
from veg_runtime import bus, kube, service, tasks
from veg_runtime.nkeys import Curve, KeyFormatError, Kind, Signer
from veg_runtime.service import Health
from veg_runtime.settings import Settings, SettingsError

ROLE: Final = permissions.BUS_AUTH
_LOOK_S: Final = 2.0
_VALID_S_MIN: Final = 10


class BusAuthSettings(Settings, frozen=True, kw_only=True):
    """`issuer_seed` (SA…) signs the users of gateway pods, `xkey_seed` (SX…, or empty) encrypts the exchange with NATS.

    `token_audience` is what a pod's token must be made for; `api_group` that of VpcEgressGateway; `user_valid_s` is how
    long a pod stays in before it must show its token again, at most.
    """

    issuer_seed: str
    xkey_seed: str = ""
    token_audience: str = permissions.TOKEN_AUDIENCE
    api_group: ApiGroup = KUBE_OVN_GROUP
    user_valid_s: int = 24 * 3600

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        super().__post_init__()
        self.keys()
        if not self.token_audience:
            raise SettingsError("environment variable VEG_TOKEN_AUDIENCE: it is empty; a name is allowed")
        if self.user_valid_s < _VALID_S_MIN:
            raise SettingsError(
                f"environment variable VEG_USER_VALID_S: {self.user_valid_s}: at least {_VALID_S_MIN} s are allowed"
            )

    def keys(self) -> Keys:
        """The pairs.

        Raises:
            SettingsError: a seed is none; the message does not repeat it.
        """
        variable = "VEG_ISSUER_SEED"
        try:
            issuer = Signer.read(Kind.ACCOUNT, self.issuer_seed)
            variable = "VEG_XKEY_SEED"
            return Keys(issuer=issuer, curve=Curve.read(self.xkey_seed) if self.xkey_seed else None)
        except KeyFormatError as error:
            raise SettingsError(f"environment variable {variable}: {error}; `vegctl keys` makes one") from error


async def work(settings: BusAuthSettings, health: Health, _: asyncio.Event) -> None:
    """Answer until cancelled."""
    async with kube.connected() as connection:
        api = Api(connection, settings.api_group)
        answerer = Answerer(api, settings.keys(), settings.token_audience, settings.api_group, settings.user_valid_s)
        client = await bus.connect(settings, ROLE)
        try:
            # A group, so that of several one answers.
            await client.subscribe(subjects.AUTH_REQUESTS, queue=ROLE, cb=answerer.take)
            await tasks.together(_watch_health(api, client, health))
        finally:
            await client.close()


async def _watch_health(api: Api, client: Client, health: Health) -> None:
    while True:
        try:
            await api.check_ready()
        except UnansweredError as error:
            health.set(False, f"API server: {error}")
        else:
            health.set(client.is_connected, "ready" if client.is_connected else "bus lost")
        if client.is_closed:  # the library has given up for good, e.g. since the server has another password for us
            raise RuntimeError("the bus has closed the connection")
        await asyncio.sleep(_LOOK_S)


def main() -> None:
    service.run(ROLE, BusAuthSettings, work)
