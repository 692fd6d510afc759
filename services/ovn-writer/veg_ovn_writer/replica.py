"""The local copy of the Northbound tables that we need. Lives in the connection's thread, and signals from there."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from ovs.db import idl
from ovs.jsonrpc import Session
from ovsdbapp.backend.ovs_idl import idlutils
from ovsdbapp.backend.ovs_idl.connection import OvsdbIdl

from veg_contracts.names import OVSDB_LOCK, OWNER_KEY
from veg_ovn_writer.errors import CannotApplyError, NotNowError
from veg_ovn_writer.tables import TABLES
from veg_ovn_writer.tables.base import ROUTER, Table

NB_GLOBAL: Final = "NB_Global"
DATABASE: Final = "OVN_Northbound"

# The library probes TCP and SSL only. A server that is alive but stuck would hold us on a Unix socket too.
_PROBE_INTERVAL_MS: Final = 5000
# The least the library allows, and no growth: commands wait for the server, so be back when it is.
_BACKOFF_MS: Final = 1000

_GLOBAL_COLUMNS: Final = ("nb_cfg", "hv_cfg")


class Standing(StrEnum):
    """How this process stands to the database."""

    LOST = "lost"
    STANDBY = "standing by: another writer holds the lock"
    SERVING = "serving"


@dataclass(frozen=True, slots=True)
class Signals:
    """What the replica calls, in the connection's thread."""

    standing: Callable[[Standing], None]
    rows: Callable[[], None]
    confirmed: Callable[[], None]


class Replica(OvsdbIdl):  # type: ignore[misc]  # the library is untyped
    """The rows we own, the routers they hang on, and NB_Global; kept up to date by the server.

    `owned` has, for each table, the rows with an owner, and who it is; it may still name rows of a copy that was thrown
    away when the connection was lost. `epoch` counts how often the replica began to serve: in between, anything may
    have changed.
    """

    def __init__(self, remote: str, helper: idl.SchemaHelper, gaps: dict[str, str], signals: Signals) -> None:
        super().__init__(remote, helper)
        self.epoch = 0
        self.standing = Standing.LOST
        self.owned: dict[str, dict[UUID, str]] = {table.name: {} for table in TABLES}
        self._gaps = gaps
        self._signals = signals
        session: Session = self._session
        session.reconnect.set_probe_interval(_PROBE_INTERVAL_MS)
        session.reconnect.set_backoff(_BACKOFF_MS, _BACKOFF_MS)
        self.set_lock(OVSDB_LOCK)

    def run(self) -> bool:
        changed: bool = super().run()
        # A reconnection always shows here: the run in which the session is new ends right after it left MONITORING.
        standing = self._look()
        if standing != self.standing:
            self.standing = standing
            if standing is Standing.SERVING:
                self.epoch += 1
            self._signals.standing(standing)
        return changed

    def _look(self) -> Standing:
        if self.state != self.IDL_S_MONITORING or not self._session.is_connected():
            return Standing.LOST
        return Standing.SERVING if self.has_lock else Standing.STANDBY

    def notify(self, event: str, row: idl.Row, updates: idl.Row | None = None) -> None:  # noqa: ARG002
        name = row._table.name  # noqa: SLF001  # as the library's own event handlers do
        if name == NB_GLOBAL:
            self._signals.confirmed()
        elif name == ROUTER:
            self._signals.rows()  # we monitor what hangs on it, and little else
        elif self._track(self.owned[name], row, gone=event == idl.ROW_DELETE):
            self._signals.rows()

    def _track(self, owned: dict[UUID, str], row: idl.Row, *, gone: bool) -> bool:
        """Keep the index of rows with an owner; whether this row had or has one."""
        had = owned.pop(row.uuid, None)
        has = None if gone else row.external_ids.get(OWNER_KEY)
        if has is not None:
            owned[row.uuid] = has
        return had is not None or has is not None

    def check_serving(self) -> None:
        """Refuse to go on from a copy that may be old.

        Raises:
            NotNowError: the connection is lost, or another writer holds the lock.
        """
        if self._look() is not Standing.SERVING:
            raise NotNowError(self._look().value)

    def has(self, table: Table[Any]) -> bool:
        return table.name not in self._gaps

    def check_schema(self, table: Table[Any]) -> None:
        """Refuse to write to a table that the server does not have as we need it.

        Raises:
            CannotApplyError: it names the table or the column, and the version of the server's schema.
        """
        if gap := self._gaps.get(table.name):
            raise CannotApplyError(gap)

    def nb_global(self) -> idl.Row:
        """The one row of NB_Global.

        Raises:
            NotNowError: nobody has made it yet.
        """
        for row in self.tables[NB_GLOBAL].rows.values():
            return row
        raise NotNowError(f"{NB_GLOBAL} has no row: ovn-northd has not started yet")

    def routers_named(self, name: str) -> list[idl.Row]:
        return list(idlutils.table_lookup_all(self.tables[ROUTER], "name", name))


def make(remote: str, schema: dict[str, Any], signals: Signals) -> Replica:
    """A replica of what we need and the server's schema has.

    Raises:
        NotNowError: the schema lacks what no version of OVN that we know lacks.
    """
    helper = idlutils.create_schema_helper(schema)
    wanted = {NB_GLOBAL: _GLOBAL_COLUMNS, ROUTER: ("name",)}
    for name, columns in wanted.items():
        if missing := _missing(schema, name, columns):
            raise NotNowError(missing)
        helper.register_columns(name, list(columns))
    gaps: dict[str, str] = {}
    for table in TABLES:
        own, parent = _missing(schema, table.name, table.columns), _missing(schema, ROUTER, (table.parent_column,))
        if missing := own or parent:
            gaps[table.name] = missing
            continue
        helper.register_columns(table.name, list(table.columns))
        helper.register_columns(ROUTER, [table.parent_column])
    return Replica(remote, helper, gaps, signals)


def _missing(schema: dict[str, Any], table: str, columns: tuple[str, ...]) -> str:
    """What the schema lacks, as a sentence; empty when it lacks nothing."""
    where = f"the schema of {DATABASE} {schema.get('version', '')}"
    if table not in schema["tables"]:
        return f"{where} has no table {table}"
    lacking = [column for column in columns if column not in schema["tables"][table]["columns"]]
    return f"{where} has no column {', '.join(f'{table}.{column}' for column in lacking)}" if lacking else ""
