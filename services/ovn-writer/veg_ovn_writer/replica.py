"""The local copy of the Northbound tables that we need. Lives in the connection's thread, and signals from there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from ovs.db import idl
from ovs.jsonrpc import Session
from ovsdbapp.backend.ovs_idl import idlutils
from ovsdbapp.backend.ovs_idl.connection import OvsdbIdl

from veg_contracts.names import OVSDB_LOCK, OWNER_KEY, bfd_port, bfd_relay
from veg_ovn_writer import direct
from veg_ovn_writer.errors import CannotApplyError, NotNowError
from veg_ovn_writer.strange import Group, group_of
from veg_ovn_writer.tables import BFD, PORT_GROUP, ROUTE, TABLES
from veg_ovn_writer.tables.base import EXTERNAL_IDS, PORT, ROUTER, Table
from veg_ovn_writer.tables.bfd import STATUS
from veg_ovn_writer.tables.port_group import PORTS
from veg_runtime import clock, logs

NB_GLOBAL: Final = "NB_Global"

# The library probes TCP and SSL only. A server that is alive but stuck would hold us on a Unix socket too.
_PROBE_INTERVAL_MS: Final = 5000
# The least the library allows, and no growth: commands wait for the server, so be back when it is.
_BACKOFF_MS: Final = 1000

_GLOBAL_COLUMNS: Final = ("nb_cfg", "sb_cfg", "hv_cfg")
ROUTER_PORT: Final = "Logical_Router_Port"
ENABLED: Final = "enabled"
GROUP: Final = "HA_Chassis_Group"
CHASSIS: Final = "HA_Chassis"
SWITCH: Final = "Logical_Switch"
# What a BFD port is made of. Of a switch no more than its name: the ports of the others come and go with each pod.
BFD_PORT_COLUMNS: Final = {
    ROUTER_PORT: ("name", "mac", "networks", "options", "ha_chassis_group", EXTERNAL_IDS),
    GROUP: ("name", "ha_chassis", EXTERNAL_IDS),
    CHASSIS: ("chassis_name", "priority", EXTERNAL_IDS),
    SWITCH: ("name", EXTERNAL_IDS),
    ROUTER: ("name", PORTS, ENABLED, EXTERNAL_IDS),
}
# What decides whether a BFD row has a router port that northd knows.
_PORT_COLUMNS: Final = {
    ROUTER_PORT: {"name", "mac"},
    ROUTER: {PORTS, ENABLED},
    BFD.name: {"logical_port", EXTERNAL_IDS},
}

log = logs.get("replica")


class Standing(StrEnum):
    """How this process stands to the database."""

    LOST = "lost"
    STANDBY = "standing by: another writer holds the lock"
    SERVING = "serving"


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A BFD row of ours and its status; the empty status of one that has gone. `at` is when we saw it."""

    uuid: UUID
    owner: str
    logical_port: str
    dst_ip: str
    status: str
    at: str


@dataclass(frozen=True, slots=True)
class Signals:
    """What the replica calls, in the connection's thread."""

    standing: Callable[[Standing], None]
    rows: Callable[[], None]
    members: Callable[[], None]
    ports: Callable[[], None]
    confirmed: Callable[[], None]
    session: Callable[[SessionRow], None]
    all_sessions: Callable[[tuple[SessionRow, ...]], None]


@dataclass(slots=True)
class News:
    """What may have changed who is in a port group: the names of ports that came or went, and owners of groups."""

    ports: set[str] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.ports or self.owners)


class Replica(OvsdbIdl):  # type: ignore[misc]  # the library is untyped
    """The rows we own, the routers they hang on, the ports in their groups, and NB_Global; kept up by the server.

    `lacking` names, for each table, the optional columns that the server's schema does not have. `owned` has, for each
    table, the rows with an owner, and who it is; it may still name rows of a copy that was thrown away when the
    connection was lost. So may `strange`, the src-ip routes that are not ours. `epoch` counts how often the replica
    began to serve: in between, anything may have changed.
    """

    def __init__(self, remote: str, plan: "_Plan", signals: Signals) -> None:
        super().__init__(remote, plan.helper)
        self._remotes = remote
        self.epoch = 0
        self.standing = Standing.LOST
        self.owned: dict[str, dict[UUID, str]] = {name: {} for name in (*(t.name for t in TABLES), *BFD_PORT_COLUMNS)}
        self.lacking = plan.lacking
        self._gaps = plan.gaps
        self._signals = signals
        self._names: dict[str, dict[str, UUID]] = {PORT: {}, PORT_GROUP.name: {}, ROUTER_PORT: {}, GROUP: {}}
        self._sessions: dict[tuple[str, str], UUID] = {}
        self._news = News()
        self.strange: dict[UUID, Group] = {}
        keep_in_touch(self._session)
        self.set_lock(OVSDB_LOCK)

    def run(self) -> bool:
        changed: bool = super().run()
        # A reconnection always shows here: the run in which the session is new ends right after it left MONITORING.
        standing = self._look()
        if standing != self.standing:
            self.standing = standing
            if standing is Standing.SERVING:
                self.epoch += 1
                self._signals.all_sessions(self._all_sessions())
            self._signals.standing(standing)
        return changed

    def _look(self) -> Standing:
        if self.state != self.IDL_S_MONITORING or not self._session.is_connected():
            return Standing.LOST
        return Standing.SERVING if self.has_lock else Standing.STANDBY

    def notify(self, event: str, row: idl.Row, updates: idl.Row | None = None) -> None:
        name, gone = row._table.name, event == idl.ROW_DELETE  # noqa: SLF001  # as the library's own event handlers do
        if name == BFD.name:
            self._tell_session(row, updates, gone=gone)
        self._index(row, updates, gone=gone)
        if _concerns_ports(row, updates, gone=gone):
            self._signals.ports()
        if name == ROUTE.name and self._note_strange(row, gone=gone):
            self._signals.rows()
        if name == NB_GLOBAL:
            self._signals.confirmed()
        elif name == PORT:
            self._note_port(row)
        elif name == PORT_GROUP.name and (owner := self.owned[name].get(row.uuid)) and _is_only(updates, PORTS):
            self._note(owner=owner)  # the row itself is as it was
        elif name == BFD.name and row.uuid in self.owned[name] and _is_only(updates, STATUS):
            pass  # that is OVN's to write
        elif self._track(self.owned[name], row, gone=gone) or name == ROUTER or _is_bfd_port(row):
            self._signals.rows()
            if name == PORT_GROUP.name and not gone:
                self._note(owner=self.owned[name].get(row.uuid))

    def _note_port(self, row: idl.Row) -> None:
        self._note(port=row.name)
        if _is_bfd_port(row):
            self._signals.rows()

    def _note_strange(self, row: idl.Row, *, gone: bool) -> bool:
        """Keep the index of routes that are not ours; whether that changes it."""
        before, after = self.strange.pop(row.uuid, None), None if gone else group_of(row)
        if after is not None:
            self.strange[row.uuid] = after
        return before != after

    def _tell_session(self, row: idl.Row, updates: idl.Row | None, *, gone: bool) -> None:
        """At once, and from here: it is what a failover waits for. A row that becomes ours again has a status, too."""
        self._sessions[row.logical_port, row.dst_ip] = row.uuid
        owner = row.external_ids.get(OWNER_KEY) or self.owned[BFD.name].get(row.uuid)
        news = updates is None or not updates._data.keys().isdisjoint({STATUS, EXTERNAL_IDS})  # noqa: SLF001
        if owner and (gone or news) and self.standing is Standing.SERVING:
            self._signals.session(_session(row, owner, "" if gone else _status(row)))

    def _all_sessions(self) -> tuple[SessionRow, ...]:
        rows = self.tables[BFD.name].rows.values() if self.has(BFD) else ()
        return tuple(_session(row, owner, _status(row)) for row in rows if (owner := row.external_ids.get(OWNER_KEY)))

    def _index(self, row: idl.Row, updates: idl.Row | None, *, gone: bool) -> None:
        names = self._names.get(row._table.name)  # noqa: SLF001  # as in `notify`
        if names is None:
            return
        for name in (row.name, getattr(updates, "name", "")):
            if names.get(name) == row.uuid:
                del names[name]
        if not gone:
            names[row.name] = row.uuid

    def _note(self, port: str | None = None, owner: str | None = None) -> None:
        silent = not self._news  # at a start all ports come at once: one signal for all of them
        self._news.ports.update([port] if port is not None else [])
        self._news.owners.update([owner] if owner is not None else [])
        if silent and self._news:
            self._signals.members()

    def take_news(self) -> News:
        """What happened to groups and ports since the last call."""
        news, self._news = self._news, News()
        return news

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

    def port(self, name: str) -> UUID | None:
        """The logical switch port of that name, if there is one."""
        uuid = self._names[PORT].get(name)
        return uuid if uuid is not None and uuid in self.tables[PORT].rows else None

    def port_ids(self, name: str) -> dict[str, str]:
        """The external_ids of the logical switch port of that name, asked for: no copy of all ports' is kept for that.

        Raises:
            NotNowError: no server answers.
        """
        rows = direct.select(self._remotes, PORT, ["name", "==", name], EXTERNAL_IDS)
        return dict(rows[0][EXTERNAL_IDS][1]) if rows else {}

    def named(self, table: str, name: str) -> idl.Row | None:
        """The one row of that name in a table of unique names that we have whole, whoever owns it."""
        uuid = self._names[table].get(name)
        return None if uuid is None else self.tables[table].rows.get(uuid)

    def session(self, port: str, peer: str) -> idl.Row | None:
        """The BFD session of that router port with that peer, whoever owns it; the schema lets it exist once."""
        row = self.tables[BFD.name].rows.get(self._sessions.get((port, peer)))
        return row if row is not None and (row.logical_port, row.dst_ip) == (port, peer) else None

    def group_named(self, name: str) -> idl.Row | None:
        """The port group of that name, whoever owns it."""
        return self.named(PORT_GROUP.name, name)

    def group_of(self, gateway: str, name: str) -> idl.Row | None:
        """The port group of that name, if `gateway` owns it."""
        row = self.group_named(name)
        return row if row is not None and self.owned[PORT_GROUP.name].get(row.uuid) == gateway else None


def keep_in_touch(session: Session) -> None:
    """Notice a server that hangs, and be back soon after a lost connection."""
    session.reconnect.set_probe_interval(_PROBE_INTERVAL_MS)
    session.reconnect.set_backoff(_BACKOFF_MS, _BACKOFF_MS)


def _status(row: idl.Row) -> str:
    """OVN has not looked at a new row yet: it has no status."""
    return str(row.status[0]) if row.status else "init"


def _session(row: idl.Row, owner: str, status: str) -> SessionRow:
    return SessionRow(row.uuid, owner, row.logical_port, row.dst_ip, status, clock.now())


def _is_bfd_port(row: idl.Row) -> bool:
    """A router port, or its peer. Also one that is not ours: where it goes, ours may come."""
    named = row._table.name in (ROUTER_PORT, PORT)  # noqa: SLF001  # as in `notify`
    return named and str(row.name).startswith((bfd_port(""), bfd_relay("")))


def _concerns_ports(row: idl.Row, updates: idl.Row | None, *, gone: bool) -> bool:
    """Whether a BFD row may have lost or got its router port, or one may have come for which there is none."""
    name = row._table.name  # noqa: SLF001  # as in `notify`
    if name not in _PORT_COLUMNS or (name == BFD.name and gone):
        return False
    return updates is None or not updates._data.keys().isdisjoint(_PORT_COLUMNS[name])  # noqa: SLF001


def _is_only(updates: idl.Row | None, column: str) -> bool:
    return updates is not None and updates._data.keys() == {column}  # noqa: SLF001  # no public way to what changed


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to ask the server for. `gaps`: tables that its schema lacks as we need them; `lacking`: optional columns."""

    helper: idl.SchemaHelper
    gaps: dict[str, str]
    lacking: dict[str, frozenset[str]]


def make(remote: str, schema: dict[str, Any], signals: Signals) -> Replica:
    """A replica of what we need and the server's schema has.

    Raises:
        NotNowError: the schema lacks what no version of OVN that we know lacks.
    """
    plan = _Plan(idlutils.create_schema_helper(schema), {}, {})
    wanted = {NB_GLOBAL: _GLOBAL_COLUMNS, PORT: ("name",), **BFD_PORT_COLUMNS}
    for name, columns in wanted.items():
        if missing := direct.missing(schema, name, columns):
            raise NotNowError(missing)
        plan.helper.register_columns(name, list(columns))
    for table in TABLES:
        _register(schema, plan, table)
    return Replica(remote, plan, signals)


def _register(schema: dict[str, Any], plan: _Plan, table: Table[Any]) -> None:
    optional = {column for column in table.optional_columns if direct.missing(schema, table.name, (column,))}
    columns = [column for column in table.columns if column not in optional]
    columns += table.watched_columns
    parents = (table.parent_column,) if table.parent_column else ()
    plan.lacking[table.name] = frozenset(optional)
    if missing := direct.missing(schema, table.name, tuple(columns)) or direct.missing(schema, ROUTER, parents):
        plan.gaps[table.name] = missing
        return
    for column in sorted(optional):
        log.warning("rows are written without a column", reason=direct.missing(schema, table.name, (column,)))
    plan.helper.register_columns(table.name, columns)
    plan.helper.register_columns(ROUTER, list(parents))
