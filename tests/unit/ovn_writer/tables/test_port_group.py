"""A port group is its name, and says who owns it."""

from veg_contracts.names import port_group_owner_ids
from veg_ovn_writer.tables import PORT_GROUP


def test_a_row_reads_back_as_what_it_was_made_of() -> None:
    columns = PORT_GROUP.to_columns("default/gateway1", "veg.0123456789ab")
    assert columns["external_ids"] == port_group_owner_ids("default/gateway1")
    assert PORT_GROUP.from_columns(columns) == "veg.0123456789ab"
    assert PORT_GROUP.parent_column == ""
