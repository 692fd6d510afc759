"""An outcome continues the command's story; an observation begins one."""

import msgspec
from unit.ovn_writer.test_confirm import order

from veg_contracts.envelope import from_message, to_body, to_headers
from veg_contracts.events import ChassisObserved, MembersObserved, RowsListed, RowsObserved
from veg_ovn_writer import outcomes
from veg_ovn_writer.nb import Commit

COMMAND = msgspec.structs.replace(
    order(3), correlation_id="story", traceparent="00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
)


def test_ids_are_made_of_the_commands() -> None:
    made = [
        outcomes.applied(COMMAND, {"inserted": 1}, Commit(changed=True, nb_cfg=7)),
        outcomes.failed(COMMAND, "why"),
        outcomes.refused(COMMAND, 9),
        outcomes.programmed(COMMAND, 7),
    ]
    assert made[0].data.detail == {"nb_cfg": "7", "inserted": "1"}
    assert [one.id for one in made] == ["3/applied", "3/failed", "3/refused", "3/programmed"]
    assert {(one.correlation_id, one.causation_id, one.source) for one in made} == {("story", "3", "veg/ovn-writer")}
    assert {one.traceparent.split("-")[1] for one in made} == {"0123456789abcdef0123456789abcdef"}
    assert {one.subject for one in made} == {"veg.evt.ovn.gateway.a.a"}


def test_a_long_refusal_is_cut() -> None:
    assert len(outcomes.failed(COMMAND, "x" * 1_000_000).data.message) == outcomes._MESSAGE_LENGTH_MAX


def test_what_is_seen_begins_a_story() -> None:
    one = outcomes.seen(RowsObserved(gateway="a/a", reason="drift"))
    assert one.id.startswith("ovn/a/a/drift/")
    assert one.correlation_id == one.id
    assert one.subject == "veg.evt.ovn.gateway.a.a"
    other = outcomes.seen(MembersObserved(gateway="a/a", port_group="G", generation=1))
    assert other.id.startswith("ovn/a/a/members/")
    assert other.subject == one.subject
    assert outcomes.seen(RowsListed()).subject == "veg.evt.ovn.listed"


def test_chassis_are_told_on_one_subject_where_a_reader_takes_them() -> None:
    told = outcomes.seen(ChassisObserved(left_out=1))
    assert told.subject == "veg.evt.ovn.chassis"
    assert from_message(told.subject, to_headers(told), to_body(told)) == told
