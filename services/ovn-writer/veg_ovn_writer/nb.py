"""The connection to the Northbound database: a thread of the library's, and the way there and back from asyncio."""

import asyncio
import concurrent.futures
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from ovs import poller
from ovs.db import idl
from ovsdbapp.backend.ovs_idl import idlutils
from ovsdbapp.backend.ovs_idl.connection import Connection
from ovsdbapp.exceptions import TimeoutException

from veg_ovn_writer import direct, replica
from veg_ovn_writer.errors import CannotApplyError, NotNowError
from veg_ovn_writer.replica import Replica, SessionRow, Signals, Standing
from veg_runtime import logs

_RETRY_S: Final = 0.5
_CONNECT_S: Final = 2  # how long one attempt may hold a thread; attempts are made for ever

# Errors of RFC 7047 and ovsdb-server that say something about the server's state and nothing about the request.
_TRANSIENT: Final = frozenset({"resources exhausted", "I/O error", "cluster error", "not leader"})

T = TypeVar("T")
log = logs.get("nb")


@dataclass(frozen=True, slots=True)
class Commit:
    """How a transaction ended: whether it changed anything, and the `nb_cfg` that holds what it asked for."""

    changed: bool
    nb_cfg: int


class Nb:
    """The Northbound database, as far as this service needs it.

    `serving` is set while we are connected, hold the lock and have a complete copy; `idle` while not. `rows_changed`
    is set when our rows may have changed, `members_changed` when port groups or ports have, `ports_changed`
    and `ports_moved` when router ports may have (two, since two wait for it), `confirmed` when NB_Global
    has; whoever waits for them clears them. `sessions` has each change of a BFD session, and all of them at each start.
    """

    def __init__(self, remote: str, transact_timeout_s: float) -> None:
        self.standing = Standing.LOST
        self.serving, self.idle = asyncio.Event(), asyncio.Event()
        self.rows_changed, self.members_changed, self.confirmed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.ports_changed, self.ports_moved = asyncio.Event(), asyncio.Event()
        self.sessions: asyncio.Queue[SessionRow | tuple[SessionRow, ...]] = asyncio.Queue()
        self.idle.set()
        self._remote = remote
        self._timeout_s = transact_timeout_s
        self._turn = asyncio.Lock()  # the library's queue holds one job, and a second one would block the event loop
        self._connection: Connection | None = None

    async def connect(self) -> None:
        """Connect, and stay connected; a server that is not there is waited for, for ever."""
        while self._connection is None:
            try:
                schema = await asyncio.to_thread(direct.fetch_schema, self._remote)
                made = replica.make(self._remote, schema, self._signals())
                self._connection = Connection(made, timeout=_CONNECT_S)
            except NotNowError as error:
                log.warning("Northbound database not reached", remote=self._remote, error=str(error))
                await asyncio.sleep(_RETRY_S)
        while not self._connection.is_running:
            try:
                await asyncio.to_thread(self._connection.start)
            except TimeoutException as error:
                log.warning("Northbound database not reached", remote=self._remote, error=str(error))

    async def close(self) -> None:
        if self._connection is not None and self._connection.is_running:
            await asyncio.to_thread(self._connection.stop, _CONNECT_S)

    async def read(self, work: Callable[[Replica], T]) -> T:
        """Run `work` on the replica.

        Raises:
            NotNowError: the replica may be old.
        """

        def job(found: Replica) -> T:
            found.check_serving()
            return work(found)

        return await self._run(job)

    async def transact(self, work: Callable[[Replica, idl.Transaction], T]) -> tuple[T, Commit]:
        """Run `work` on the replica and commit its changes in one transaction.

        Raises:
            NotNowError: it could not be committed, or nobody knows whether it was.
            CannotApplyError: the server refused it, or `work` raised it.
        """
        return await self._run(lambda found: _transact(found, work, self._timeout_s))

    async def _run(self, work: Callable[[Replica], T]) -> T:
        if self._connection is None or not self._connection.is_running:
            raise NotNowError(Standing.LOST.value)
        job = _Job(work, self._connection.idl)
        async with self._turn:
            self._connection.queue_txn(job)
            return await asyncio.wrap_future(job.future)

    def _signals(self) -> Signals:
        loop = asyncio.get_running_loop()

        def later(call: Callable[..., None]) -> Callable[..., None]:
            return lambda *arguments: _call_soon(loop, call, *arguments)

        return Signals(
            standing=later(self._stand),
            rows=later(self.rows_changed.set),
            members=later(self.members_changed.set),
            ports=later(self._ports),
            confirmed=later(self.confirmed.set),
            session=later(self.sessions.put_nowait),
            all_sessions=later(self.sessions.put_nowait),
        )

    def _ports(self) -> None:
        self.ports_changed.set()
        self.ports_moved.set()

    def _stand(self, standing: Standing) -> None:
        log.info("northbound", standing=standing.value)
        self.standing = standing
        if standing is Standing.SERVING:
            self.idle.clear()
            self.serving.set()
            self.rows_changed.set()
            self.members_changed.set()
            self._ports()
            self.confirmed.set()
        else:
            self.serving.clear()
            self.idle.set()


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: Any) -> None:
    if not loop.is_closed():  # the thread ends with the process; a signal that nobody waits for any more is no loss
        loop.call_soon_threadsafe(call, *arguments)


class _Job(Generic[T]):
    """What the library's thread takes from its queue in place of one of its transactions.

    Its own transaction class retries while it holds the thread, and tells errors apart by their wording only.
    """

    def __init__(self, work: Callable[[Replica], T], found: Replica) -> None:
        self.future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self.commands = ()
        self._work = work
        self._replica = found

    @property
    def results(self) -> "_Job[T]":
        return self

    def do_commit(self) -> T | None:
        return self._work(self._replica) if self.future.set_running_or_notify_cancel() else None

    def put(self, result: Any) -> None:
        if self.future.cancelled():
            return
        if isinstance(result, idlutils.ExceptionResult):
            self.future.set_exception(result.ex)
        else:
            self.future.set_result(result)


def _transact(found: Replica, work: Callable[[Replica, idl.Transaction], T], timeout_s: float) -> tuple[T, Commit]:
    found.check_serving()
    txn = idl.Transaction(found)
    try:
        result = work(found, txn)
        status = _commit(found, txn, timeout_s)
    finally:
        txn.abort()  # ends a transaction whose work raised; one that was committed does not mind
    if status == idl.Transaction.SUCCESS:
        return result, Commit(changed=True, nb_cfg=txn.get_increment_new_value())
    if status == idl.Transaction.UNCHANGED:
        # Said of our copy, which may be a moment behind the server. Then its news follow, and are told as drift.
        found.check_serving()
        return result, Commit(changed=False, nb_cfg=found.nb_global().nb_cfg)
    if status == idl.Transaction.ERROR:
        raise _refusal(txn.get_error())
    raise NotNowError(f"transaction: {status}")


def _commit(found: Replica, txn: idl.Transaction, timeout_s: float) -> str:
    deadline = time.monotonic() + timeout_s
    while (status := str(txn.commit())) == idl.Transaction.INCOMPLETE:
        found.run()
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            # It may yet be carried out. A new connection shows whether it was, and doing it again does no harm.
            found.force_reconnect()
            raise NotNowError(f"no answer to a transaction for {timeout_s} s")
        wait = poller.Poller()
        found.wait(wait)
        txn.wait(wait)
        wait.timer_wait(int(left_s * 1000) + 1)
        wait.block()
    return status


def _refusal(text: str) -> Exception:
    """What the server's error means for the command."""
    try:
        error = json.loads(text)
        kind, details = str(error["error"]), str(error.get("details", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        # An error of the whole request and not of one of its operations: the database is being changed or removed.
        return NotNowError(f"transaction: {text}")
    message = f"{kind}: {details}" if details else kind
    return NotNowError(message) if kind in _TRANSIENT else CannotApplyError(message)
