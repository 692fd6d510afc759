"""The row is as the document shows it, and reads back as what was asked for."""

import msgspec

from veg_contracts.intent import BfdSession
from veg_contracts.names import owner_ids
from veg_ovn_writer.tables import BFD

SESSION = BfdSession(family="4", logical_port="bfd@vpc1", dst_ip="192.168.0.2", min_rx=1000, min_tx=900, detect_mult=3)


def test_the_documents_row() -> None:
    assert BFD.to_columns("default/gateway2", SESSION) == {
        "logical_port": "bfd@vpc1",
        "dst_ip": "192.168.0.2",
        "min_rx": (1000,),
        "min_tx": (900,),
        "detect_mult": (3,),
        "external_ids": owner_ids("default/gateway2", "4"),
    }


def test_a_row_reads_back_as_what_it_was_made_of() -> None:
    columns = BFD.to_columns("a/b", SESSION)
    assert BFD.from_columns(columns) == SESSION
    assert set(columns) == set(BFD.columns)


def test_timers_are_no_part_of_its_identity() -> None:
    faster = msgspec.structs.replace(SESSION, min_rx=100, min_tx=100, detect_mult=5)
    assert BFD.identity(faster) == BFD.identity(SESSION)
    assert BFD.identity(msgspec.structs.replace(SESSION, dst_ip="192.168.0.3")) != BFD.identity(SESSION)


def test_a_row_without_timers_is_not_what_was_asked_for() -> None:
    columns = {**BFD.to_columns("a/b", SESSION), "min_rx": ()}
    assert BFD.from_columns(columns) != SESSION
