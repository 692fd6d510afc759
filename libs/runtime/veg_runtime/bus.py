"""The connection to NATS JetStream: connect for ever, publish events until the stream has them, consume in order."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import nats
import nats.errors
import nats.js.api
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.transport import Transport
from nats.js import JetStreamContext

from veg_contracts import addresses, permissions, subjects
from veg_contracts.envelope import Envelope, to_body, to_headers
from veg_runtime import logs
from veg_runtime.settings import TLS_SCHEME, Settings
from veg_runtime.tls import Pem

_RETRY_S = 0.5
# Whoever is refused costs the bus, and what checks a token, more than whoever finds nobody.
_REFUSED = "Authorization Violation"
_REFUSED_S = 3.0
# The server may have to ask who we are: that is a little longer than it takes (veg_contracts.accounts).
_CONNECT_S = 12
_FETCH_WAIT_S = 5.0
_ACK_WAIT_S = 30.0
_PUBLISH_TIMEOUT_S = 5.0
# The reply subject of what a stream delivers; what the server says of itself has none.
_DELIVERED = b"$JS.ACK."
_PING, _PONG = b"PING\r\n", b"PONG\r\n"

_TOO_LARGE_FOR_STREAM = 10054  # JSStreamMessageExceedsMaximumErr of nats-server

_LOST = (nats.errors.Error, nats.js.errors.Error, OSError, asyncio.TimeoutError)

log = logs.get("bus")


class MessageTooLargeError(ValueError):
    """A message over the size limit of the bus; it names the subject and the size in bytes."""


class NotConnectedError(Exception):
    """There is no connection to the bus: why."""


class _Client(Client):
    """A client that survives whatever somebody has published, and that is not talked out of TLS.

    The server takes any bytes as a subject and as headers. The library's own client stops reading at the first ones
    that it cannot decode, and so every reader would stop for ever at one such message. Here it arrives with U+FFFD in
    its subject, and without headers. A header `Status` is the server's to write: with one that somebody else wrote,
    the library would take a message for the end of a batch, and it would never be read nor acknowledged.

    It connects to the servers that it was told, not to others that these advertise: a gateway pod has a way of its own
    to the first ones alone, and its token would leave by the external network.

    Whether TLS begins is the server's to say, in plain text: for the library's own client `tls://` only names a port,
    and it would hand its password to whoever says no. And where the handshake fails it would wait for ever for the end
    of a connection that has ended.

    A server that asks somebody else who we are (auth callout) may ping us before it knows, and one that dies says
    nothing. The library takes either for its answer, and then waits for ever in a connection that it never calls one.
    """

    def __init__(self, *, tls: bool) -> None:
        super().__init__()
        self._tls = tls

    async def _process_connect_init(self) -> None:
        transport = self._transport
        if transport is None:
            raise RuntimeError("the library connects without a transport")
        read_answer = partial(self._read_answer, transport, transport.readline)
        try:
            transport.readline = read_answer  # type: ignore[method-assign]
            await super()._process_connect_init()
        except (*_LOST, asyncio.CancelledError):
            self._transport = None
            transport.close()  # type: ignore[no-untyped-call]
            raise
        finally:
            del transport.readline

    async def _read_answer(self, transport: Transport, readline: Callable[[], Awaitable[bytes]]) -> bytes:
        while (line := await readline()) == _PING:
            transport.write(_PONG)
        if not line:
            raise nats.errors.Error("the server ended the connection and did not say why")
        return line

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if self._tls and initial_connection and not info.get("tls_required"):
            raise nats.errors.Error(f"VEG_NATS_URL begins with {TLS_SCHEME} and the server does without TLS")
        await super()._process_info({**info, "connect_urls": None}, initial_connection)

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        try:
            return await super()._process_headers(headers)
        except (IndexError, ValueError):
            return {}

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg:
        text = subject.decode("utf-8", "replace").encode()
        if headers and reply.startswith(_DELIVERED):
            headers.pop(nats.js.api.Header.STATUS.value, None)
        message: Msg = super()._build_message(sid, text, reply, data, headers)
        return message


async def connect(settings: Settings, role: str, *, inbox: str = "", token: Callable[[], str] | None = None) -> Client:
    """Connect, and stay connected: a lost server is waited for, for ever.

    `inbox` is the prefix of reply subjects where it is not the role's; `token` is asked for the credential at each
    connection, instead of user and password.

    Raises:
        SettingsError: a setting of TLS is not what it should be.
    """
    pem = _pem(settings)
    options = _options(settings, role, pem)

    async def on_error(error: Exception) -> None:
        log.warning("bus error", error=pem.explain(error))

    async def on_disconnected() -> None:
        log.warning("bus lost")

    async def on_reconnected() -> None:
        log.info("bus back")

    while True:
        try:
            client = _Client(tls=options["tls"] is not None)
            await client.connect(
                **options | ({"inbox_prefix": inbox.encode()} if inbox else {}),
                token=token,
                connect_timeout=_CONNECT_S,
                max_reconnect_attempts=-1,
                reconnect_time_wait=_RETRY_S,  # type: ignore[arg-type]  # it goes to asyncio.sleep
                ping_interval=5,
                max_outstanding_pings=2,
                pending_size=0,  # never buffer while disconnected: a publish fails at once and is tried again
                error_cb=on_error,
                disconnected_cb=on_disconnected,
                reconnected_cb=on_reconnected,
            )
        except _LOST as error:
            log.warning("bus not reached", url=settings.nats_url, error=pem.explain(error))
            await asyncio.sleep(_REFUSED_S if _REFUSED in str(error) else _RETRY_S)
        else:
            return client


async def connect_once(settings: Settings, role: str, within_s: float) -> Client:
    """Connect for a look: one attempt, and no other one when the connection is lost.

    Raises:
        NotConnectedError: why there is none after `within_s`.
        SettingsError: a setting of TLS is not what it should be.
    """
    pem = _pem(settings)
    options = _options(settings, role, pem)
    said: list[str] = []

    async def on_error(error: Exception) -> None:
        said.append(pem.explain(error))

    client = _Client(tls=options["tls"] is not None)
    try:
        async with asyncio.timeout(within_s):
            await client.connect(
                **options,
                allow_reconnect=False,
                max_reconnect_attempts=1,  # of the first connection as well, and 0 would be for ever
                reconnect_time_wait=0,
                error_cb=on_error,
            )
    except _LOST as error:
        raise NotConnectedError(said[0] if said else pem.explain(error)) from error
    return client


def _options(settings: Settings, role: str, pem: Pem) -> dict[str, Any]:
    """What every connection of a role takes: where to, as whom, and whom to trust."""
    return {
        "servers": list(addresses.split(settings.nats_url)),
        "name": role,
        "user": settings.nats_user or None,
        "password": settings.nats_password or None,
        "tls": pem.context() if settings.nats_url.startswith(TLS_SCHEME) else None,
        "tls_hostname": settings.nats_tls_server_name or None,
        "inbox_prefix": permissions.inbox_prefix(role).encode(),
    }


def _pem(settings: Settings) -> Pem:
    return Pem(
        prefix="VEG_NATS_TLS", ca=settings.nats_tls_ca, certificate=settings.nats_tls_cert, key=settings.nats_tls_key
    )


async def publish(js: JetStreamContext, envelope: Envelope) -> None:
    """Publish and wait until the stream has stored it; tries for ever, the id makes that safe.

    Raises:
        MessageTooLargeError: the message would not fit; nothing was sent.
    """
    await publish_raw(js, envelope.subject, to_body(envelope), to_headers(envelope))


async def publish_raw(js: JetStreamContext, subject: str, body: bytes, headers: dict[str, str]) -> None:
    """`publish` for a body and headers that are already made, e.g. those of an outbox."""
    if len(body) > subjects.MESSAGE_BYTES_MAX:
        limit = subjects.MESSAGE_BYTES_MAX
        raise MessageTooLargeError(f"message on {subject}: {len(body)} bytes, at most {limit} are allowed")
    while True:
        try:
            await js.publish(subject, body, headers=headers, timeout=_PUBLISH_TIMEOUT_S)
        except nats.errors.MaxPayloadError as error:  # a server with a lower limit than ours
            raise MessageTooLargeError(f"message on {subject}: {len(body)} bytes, the bus refuses it") from error
        except _LOST as error:
            if isinstance(error, nats.js.errors.APIError) and error.err_code == _TOO_LARGE_FOR_STREAM:
                raise MessageTooLargeError(f"message on {subject}: {len(body)} bytes, its stream refuses it") from error
            # In full the server's answer says why, e.g. "maximum bytes exceeded" of a stream that nobody reads.
            log.warning("publish failed, trying again", subject=subject, error=str(error) or repr(error))
            await asyncio.sleep(_RETRY_S)
        else:
            return


class Consumer:
    """A durable pull consumer. One that the bus has lost, with its files or by somebody's hand, is made anew."""

    def __init__(self, js: JetStreamContext, stream: str, config: nats.js.api.ConsumerConfig) -> None:
        self._js = js
        self._stream = stream
        self._config = config
        self._subscription: JetStreamContext.PullSubscription | None = None

    async def ensure(self) -> JetStreamContext.PullSubscription:
        """Have it on the bus; waits until the stream exists."""
        while True:
            try:
                await self._js.add_consumer(self._stream, self._config)
                if self._subscription is None:
                    self._subscription = await self._js.pull_subscribe_bind(
                        str(self._config.durable_name), self._stream
                    )
            except _LOST as error:
                log.warning("waiting for the stream", stream=self._stream, error=repr(error))
                await asyncio.sleep(_RETRY_S)
            else:
                return self._subscription

    async def next(self) -> Msg | None:
        """The next message; None after a while without one."""
        subscription = self._subscription or await self.ensure()
        try:
            return (await subscription.fetch(1, timeout=_FETCH_WAIT_S))[0]
        except TimeoutError:  # the library's own, or asyncio's below it on a busy machine
            return None
        except _LOST as error:
            log.warning("fetch failed", error=repr(error))
            await asyncio.sleep(_RETRY_S)
            await self.ensure()
            return None


async def pull_subscription(
    js: JetStreamContext,
    stream: str,
    subject: str,
    durable: str,
    *,
    in_flight_max: int,
    ack_wait_s: float = _ACK_WAIT_S,
) -> Consumer:
    """A durable pull consumer; waits until the stream exists.

    `in_flight_max` of 1 keeps the order even across redeliveries: a message that was not acknowledged comes again
    before the next one does. After a kill of the reader or of the bus that takes `ack_wait_s`; a reader that takes
    longer than that over a message gets it once more.
    """
    config = nats.js.api.ConsumerConfig(
        name=durable,  # so the request names the filter, and the bus can allow this one alone
        durable_name=durable,
        filter_subject=subject,
        ack_policy=nats.js.api.AckPolicy.EXPLICIT,
        ack_wait=ack_wait_s,
        max_ack_pending=in_flight_max,
    )
    consumer = Consumer(js, stream, config)
    await consumer.ensure()
    return consumer


async def fetch(
    subscription: JetStreamContext.PullSubscription, batch: int, wait_s: float = _FETCH_WAIT_S
) -> list[Msg]:
    """Up to `batch` messages; none after `wait_s` without one, or while the bus is away."""
    try:
        return await subscription.fetch(batch, timeout=wait_s)
    except TimeoutError:  # the library's own, or asyncio's below it on a busy machine
        return []
    except _LOST as error:
        log.warning("fetch failed", error=repr(error))
        await asyncio.sleep(_RETRY_S)
        return []


async def acknowledge(message: Msg) -> None:
    """Acknowledge; when that is lost the message comes again, which every reader can bear."""
    try:
        await message.ack()
    except _LOST as error:
        log.warning("acknowledge failed", subject=message.subject, error=repr(error))


async def consume(
    consumer: Consumer,
    handle: Callable[[Msg], Awaitable[bool]],
    stop: asyncio.Event,
) -> None:
    """Hand each message to `handle` until `stop`; True acknowledges, False has it delivered again after a moment."""
    while not stop.is_set():
        if (message := await consumer.next()) is None:
            continue
        if await handle(message):
            await acknowledge(message)
        else:
            await _again(message)


async def _again(message: Msg) -> None:
    try:
        await message.nak(delay=_RETRY_S)
    except _LOST as error:
        log.warning("nak failed", subject=message.subject, error=repr(error))


def jetstream(client: Client) -> JetStreamContext:
    context: JetStreamContext = client.jetstream(timeout=_PUBLISH_TIMEOUT_S)
    return context


def headers_of(message: Msg) -> dict[str, str]:
    headers: dict[str, Any] = message.headers or {}
    return {str(name): str(value) for name, value in headers.items()}
