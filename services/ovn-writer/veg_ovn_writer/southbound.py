"""The chassis in the Southbound database, followed and never written: who is there, and how far each has come.

Nothing depends on it but how soon a command counts as programmed: without it, NB_Global.hv_cfg says so.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ovs.db import idl
from ovsdbapp.backend.ovs_idl import idlutils
from ovsdbapp.backend.ovs_idl.connection import Connection, OvsdbIdl
from ovsdbapp.exceptions import TimeoutException

from veg_ovn_writer import direct, metrics, tls
from veg_ovn_writer.chassis import Chassis, View
from veg_ovn_writer.errors import NotNowError
from veg_ovn_writer.replica import keep_in_touch
from veg_runtime import logs

_DATABASE: Final = "OVN_Southbound"
_HOSTS: Final = "Chassis"
_NUMBERS: Final = "Chassis_Private"
_COLUMNS: Final = {_HOSTS: ("name", "hostname", "other_config"), _NUMBERS: ("name", "nb_cfg")}
# Of another availability zone (ovn-ic): it gets its flows from there, and hv_cfg leaves it out as well.
_REMOTE: Final = ("is-remote", "true")
_RETRY_S: Final = 2.0
_CONNECT_S: Final = 2  # how long one attempt may hold a thread; attempts are made for ever

log = logs.get("southbound")


@dataclass(frozen=True, slots=True)
class _Signals:
    """What the replica calls, in the connection's thread. `all`: None while its copy is not complete, or old."""

    one: Callable[[str, Chassis | None], None]
    all: Callable[[dict[str, Chassis] | None], None]


class Southbound:
    """The connection. `changed` is called in the event loop whenever `view` may say something else."""

    def __init__(self, remote: str, changed: Callable[[], None]) -> None:
        self._remote = remote
        self._changed = changed
        self._chassis: dict[str, Chassis] | None = None
        self._epoch = 0
        self._connection: Connection | None = None
        self._said = ""

    @property
    def view(self) -> View | None:
        """None while the chassis are out of sight. It is good until the event loop has its next turn."""
        return None if self._chassis is None else View(self._epoch, self._chassis)

    async def run(self) -> None:
        """Connect, and stay connected; a server that is not there is waited for, for ever."""
        metrics.SOUTHBOUND.set(0)
        connected = False
        while not connected:
            connected = await self._connect()
            await asyncio.sleep(0 if connected else _RETRY_S)
        await tls.tell(self._remote)  # the library's thread goes on from here

    async def close(self) -> None:
        if self._connection is not None and self._connection.is_running:
            await asyncio.to_thread(self._connection.stop, _CONNECT_S)

    async def _connect(self) -> bool:
        try:
            if self._connection is None:
                schema = await asyncio.to_thread(direct.fetch_schema, self._remote, _DATABASE)
                self._connection = Connection(_make(self._remote, schema, self._signals()), timeout=_CONNECT_S)
            await asyncio.to_thread(self._connection.start)
        except (NotNowError, TimeoutException) as error:
            self._warn(str(error))
            return False
        return True

    def _warn(self, reason: str) -> None:
        """Say once why the chassis cannot be followed: it may stay so for days."""
        if reason != self._said:
            log.warning(
                "chassis cannot be followed: hv_cfg alone says what is programmed", remote=self._remote, reason=reason
            )
        self._said = reason

    def _signals(self) -> _Signals:
        loop = asyncio.get_running_loop()

        def later(call: Callable[..., None]) -> Callable[..., None]:
            def signal(*arguments: Any) -> None:
                if not loop.is_closed():  # the thread ends with the process
                    loop.call_soon_threadsafe(call, *arguments)

            return signal

        return _Signals(one=later(self._set_one), all=later(self._set_all))

    def _set_one(self, name: str, chassis: Chassis | None) -> None:
        if self._chassis is None:
            return
        if chassis is None:
            self._chassis.pop(name, None)
        else:
            self._chassis[name] = chassis
        self._changed()

    def _set_all(self, chassis: dict[str, Chassis] | None) -> None:
        self._chassis = chassis
        metrics.SOUTHBOUND.set(chassis is not None)
        if chassis is None:
            self._warn("the connection is lost")
        else:
            self._epoch += 1
            self._said = ""
            log.info("chassis are followed", remote=self._remote, number=len(chassis))
        self._changed()


def _make(remote: str, schema: dict[str, Any], signals: _Signals) -> "_Replica":
    """A replica of the two tables.

    Raises:
        NotNowError: the schema lacks one of them, as those before OVN 20.09 do, or a column.
    """
    helper = idlutils.create_schema_helper(schema)
    for table, columns in _COLUMNS.items():
        if missing := direct.missing(schema, table, columns):
            raise NotNowError(missing)
        helper.register_columns(table, list(columns))
    return _Replica(remote, helper, signals)


class _Replica(OvsdbIdl):  # type: ignore[misc]  # the library is untyped
    """The copy of the two tables, in the connection's thread."""

    def __init__(self, remote: str, helper: idl.SchemaHelper, signals: _Signals) -> None:
        super().__init__(remote, helper)
        self._signals = signals
        self._complete = False
        self._hosts: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        keep_in_touch(self._session)

    def run(self) -> bool:
        changed: bool = super().run()
        complete = self.state == self.IDL_S_MONITORING and bool(self._session.is_connected())
        if complete != self._complete:
            self._complete = complete
            # A copy that is thrown away with its connection tells of no row that goes: all are read again.
            self._signals.all(self._read() if complete else None)
        return changed

    def notify(self, event: str, row: idl.Row, updates: idl.Row | None = None) -> None:
        if not self._complete:
            return
        for name in {row.name, getattr(updates, "name", row.name)}:
            self._drop(row, name)
        if event != idl.ROW_DELETE:
            self._take(row)
        for name in {row.name, getattr(updates, "name", row.name)}:
            self._signals.one(name, self._of(name))

    def _read(self) -> dict[str, Chassis]:
        self._hosts.clear()
        self._numbers.clear()
        for table in _COLUMNS:
            for row in self.tables[table].rows.values():
                self._take(row)
        return {name: found for name in self._numbers if (found := self._of(name)) is not None}

    def _of(self, name: str) -> Chassis | None:
        if name not in self._hosts or name not in self._numbers:
            return None
        return Chassis(name, self._hosts[name], self._numbers[name])

    def _take(self, row: idl.Row) -> None:
        if row._table.name == _NUMBERS:  # noqa: SLF001  # as the library's own event handlers do
            self._numbers[row.name] = row.nb_cfg
        elif _REMOTE not in row.other_config.items():
            self._hosts[row.name] = row.hostname

    def _drop(self, row: idl.Row, name: str) -> None:
        names: dict[str, Any] = self._numbers if row._table.name == _NUMBERS else self._hosts  # noqa: SLF001  # as above
        names.pop(name, None)
