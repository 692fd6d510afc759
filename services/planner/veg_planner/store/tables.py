"""The tables as the planner uses them. Their definition, with constraints and reasons, is in the migrations."""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB


class JsonBytes(sa.types.TypeDecorator[bytes]):
    """A jsonb column that is written from, and read as, the bytes of a JSON text: msgspec does the decoding."""

    impl = sa.Text
    cache_ok = True

    def bind_expression(self, bindparam: sa.BindParameter[bytes]) -> sa.ColumnElement[bytes]:
        return sa.cast(bindparam, JSONB)

    def column_expression(self, column: sa.ColumnElement[bytes]) -> sa.ColumnElement[bytes]:
        return sa.type_coerce(sa.cast(column, sa.Text), JsonBytes)

    def process_bind_param(self, value: bytes | None, dialect: Any) -> str | None:  # noqa: ARG002  SQLAlchemy's signature
        return None if value is None else value.decode()

    def process_result_value(self, value: str | None, dialect: Any) -> bytes | None:  # noqa: ARG002
        return None if value is None else value.encode()


_METADATA: Final = sa.MetaData()

_CLOUD_EVENT: Final = ("correlation_id", "causation_id", "traceparent")

EVENT: Final = sa.Table(
    "event",
    _METADATA,
    sa.Column("position", sa.BigInteger, primary_key=True),
    *(sa.Column(name, sa.Text) for name in ("id", "type", "source", "subject", *_CLOUD_EVENT)),
    sa.Column("time", sa.DateTime(timezone=True)),
    sa.Column("data", JsonBytes),
    sa.Column("decided", sa.Boolean),
)
OBJECT: Final = sa.Table(
    "object",
    _METADATA,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger),
    sa.Column("data", JsonBytes),
)
INTENT: Final = sa.Table(
    "intent",
    _METADATA,
    sa.Column("gateway_uid", sa.Text, primary_key=True),
    sa.Column("generation", sa.BigInteger, primary_key=True),
    sa.Column("gateway", sa.Text),
    sa.Column("parent", sa.BigInteger),
    sa.Column("position", sa.BigInteger),
    sa.Column("data", JsonBytes),
    sa.Column("digest", sa.Text),
)
REPORT: Final = sa.Table(
    "report",
    _METADATA,
    sa.Column("gateway", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True),
    sa.Column("generation", sa.BigInteger),
    sa.Column("data", JsonBytes),
)
COMMAND: Final = sa.Table(
    "command",
    _METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger),
    sa.Column("ordinal", sa.Integer),
    *(sa.Column(name, sa.Text) for name in ("gateway", "gateway_uid", "subject", "type", "digest", *_CLOUD_EVENT)),
    sa.Column("generation", sa.BigInteger),
    sa.Column("data", JsonBytes),
    sa.Column("time", sa.DateTime(timezone=True)),
    sa.Column("relayed_at", sa.DateTime(timezone=True)),
    sa.Column("note", sa.Text),
)
LEASE: Final = sa.Table(
    "lease",
    _METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text),
    sa.Column("fence", sa.BigInteger),
    sa.Column("expires_at", sa.DateTime(timezone=True)),
)
REJECTED: Final = sa.Table(
    "rejected",
    _METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("subject", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("size", sa.Integer),
    sa.Column("head", sa.Text),
)
