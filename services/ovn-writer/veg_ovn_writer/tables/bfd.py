"""BFD (ovn-nb(5)): OVN's end of a BFD session. `status` is OVN's to write, and ours to watch."""

from collections.abc import Hashable
from typing import Any, ClassVar, Final

from veg_contracts.intent import BfdSession
from veg_contracts.names import owner_ids
from veg_ovn_writer.tables.base import EXTERNAL_IDS, Columns, Table

STATUS: Final = "status"


class Bfd(Table[BfdSession]):
    """A root table; the schema lets a pair of port and peer exist once, whoever owns it."""

    name: ClassVar[str] = "BFD"
    field: ClassVar[str] = "sessions"
    parent_column: ClassVar[str] = ""
    columns: ClassVar[tuple[str, ...]] = ("logical_port", "dst_ip", "min_rx", "min_tx", "detect_mult", EXTERNAL_IDS)
    watched_columns: ClassVar[tuple[str, ...]] = (STATUS,)

    def canonical(self, value: BfdSession) -> BfdSession:
        return value

    def sort_key(self, value: BfdSession) -> tuple[Any, ...]:
        return (value.family, value.dst_ip, value.logical_port, value.min_rx, value.min_tx, value.detect_mult)

    def identity(self, value: BfdSession) -> Hashable:
        return (value.logical_port, value.dst_ip)

    def to_columns(self, gateway: str, value: BfdSession) -> Columns:
        return {
            "logical_port": value.logical_port,
            "dst_ip": value.dst_ip,
            "min_rx": (value.min_rx,),
            "min_tx": (value.min_tx,),
            "detect_mult": (value.detect_mult,),
            EXTERNAL_IDS: owner_ids(gateway, value.family),
        }

    def from_columns(self, columns: Columns) -> BfdSession:
        return BfdSession(
            family=columns[EXTERNAL_IDS].get("af", ""),
            logical_port=columns["logical_port"],
            dst_ip=columns["dst_ip"],
            min_rx=_number(columns["min_rx"]),
            min_tx=_number(columns["min_tx"]),
            detect_mult=_number(columns["detect_mult"]),
        )


def _number(column: tuple[int, ...]) -> int:
    """0 where the row has none: then OVN takes a value of its own, which is not the one that is wanted."""
    return column[0] if column else 0
