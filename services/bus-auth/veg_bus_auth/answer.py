"""One question of the bus, from the message to the answer."""

import asyncio
import time
from typing import Final

import nats.errors
from nats.aio.msg import Msg

from veg_bus_auth import exchange, grant, identity, metrics
from veg_bus_auth.api import Api, UnansweredError
from veg_bus_auth.exchange import MalformedRequestError, Request
from veg_bus_auth.grant import Grant
from veg_bus_auth.identity import DeniedError, Identity
from veg_contracts.base import Value
from veg_contracts.subjects import AUTH_ENCRYPTION_HEADER
from veg_runtime import bus, logs
from veg_runtime.nkeys import Curve, Signer

# The API server is asked for so many clients at once; the others wait, up to the second number, and then hear no.
_AT_ONCE_MAX: Final = 16
_OPEN_MAX: Final = 512
# Below the time that the server gives (veg_contracts.accounts), with some for the way.
_ANSWER_WITHIN_S: Final = 8.0
_TOKEN_LENGTH_MAX: Final = 16 * 1024

log = logs.get("answer")


class Keys(Value, frozen=True, kw_only=True):
    """`issuer` signs the users, `curve` encrypts the exchange, if that is wanted."""

    issuer: Signer
    curve: Curve | None


class Answerer:
    """Answers questions, many at once. What is malformed, too much or too late stops it never."""

    def __init__(self, api: Api, keys: Keys, audience: str, api_group: str, valid_s: int) -> None:
        self._api = api
        self._keys = keys
        self._audience = audience
        self._group = api_group
        self._valid_s = valid_s
        self._at_once = asyncio.Semaphore(_AT_ONCE_MAX)
        self._open: set[asyncio.Task[None]] = set()

    async def take(self, message: Msg) -> None:
        """Begin to answer; returns at once."""
        headers = bus.headers_of(message)
        try:
            request = exchange.read_request(message.data, headers.get(AUTH_ENCRYPTION_HEADER, ""), self._keys.curve)
        except MalformedRequestError as error:
            metrics.MALFORMED.inc()
            log.warning("question not read", reason=str(error), size=len(message.data))
            return
        task = asyncio.create_task(self._answer(message, request))
        self._open.add(task)
        metrics.OPEN.set(len(self._open))
        task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._open.discard(task)
        metrics.OPEN.set(len(self._open))
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("question not answered", error=repr(error))

    async def _answer(self, message: Msg, request: Request) -> None:
        began = time.monotonic()
        now_s = int(time.time())
        try:
            allowed = await self._allowed(request)
        except (DeniedError, UnansweredError) as error:
            what = "denied" if isinstance(error, DeniedError) else "unanswered"
            log.warning("client not let in", reason=str(error), host=request.host)
            answer = exchange.deny(request, str(error), self._keys.issuer, now_s)
        else:
            what, valid_s = "allowed", grant.valid_s(allowed, self._valid_s)
            log.info("gateway pod let in", gateway=allowed.gateway, pod=allowed.pod, valid_s=valid_s)
            answer = exchange.allow(request, grant.claims(allowed), self._keys.issuer, now_s, valid_s)
        try:
            await message.respond(exchange.seal(answer, request, self._keys.curve))
        except (nats.errors.Error, OSError) as error:
            log.warning("answer not sent", error=repr(error))
        metrics.ANSWERS.labels(what).inc()
        metrics.SECONDS.observe(time.monotonic() - began)

    async def _allowed(self, request: Request) -> Grant:
        if not request.token:
            raise DeniedError("there is no token, and no user of the bus with that name and password")
        if len(request.token) > _TOKEN_LENGTH_MAX:
            raise DeniedError(f"the token has {len(request.token)} characters, at most {_TOKEN_LENGTH_MAX} are allowed")
        if len(self._open) > _OPEN_MAX:
            raise UnansweredError(f"more than {_OPEN_MAX} clients wait")
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S), self._at_once:
                who = identity.pod_of(await self._api.review(request.token, self._audience), self._audience)
                return await self._find(who)
        except TimeoutError as error:
            raise UnansweredError(f"the API server did not answer within {_ANSWER_WITHIN_S:.0f} s") from error

    async def _find(self, who: Identity) -> Grant:
        space = who.namespace
        replica_set = identity.replica_set_of(await self._api.pod(space, who.pod), who)
        found = await self._api.replica_set(space, replica_set.name)
        deployment = identity.deployment_of(found, replica_set, who)
        found = await self._api.deployment(space, deployment.name)
        gateway = identity.gateway_of(found, deployment, who, self._group)
        found = await self._api.gateway(space, gateway.name)
        key = identity.check_gateway(found, gateway, deployment, who)
        return Grant(gateway=key, pod=who.pod, pod_uid=who.uid)
