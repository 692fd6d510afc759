"""A row that loses our key while a command is on its way to the server is not ours, and not changed (decision 0013)."""

from collections.abc import Callable
from typing import Any

import pytest
from functional.ovn_writer.harness import GATEWAY, GROUP
from functional.ovsdb import Ovsdb
from ovs.db import idl

from veg_contracts import names
from veg_contracts.commands import ChangeMembers, EnsureMembers
from veg_contracts.intent import BfdRelay, BfdRouterPort, NbRows
from veg_ovn_writer import apply, bfd_port, groups
from veg_ovn_writer.errors import NotNowError
from veg_ovn_writer.nb import Nb
from veg_ovn_writer.replica import Replica

PORT = "bfd@vpc1"
RELAY = names.bfd_relay("vpc1")
FULL = BfdRouterPort(
    name=PORT,
    mac=names.bfd_port_mac("vpc1"),
    networks=("10.255.255.255",),
    chassis=("a",),
    relay=BfdRelay(name=RELAY, mac=names.bfd_relay_mac("vpc1"), networks=("169.254.37.84",)),
)
PEER_ONLY = BfdRouterPort(name=PORT, mac="", networks=(), chassis=(), peer_only=True)
MADE = (("vpc1", NbRows(router="vpc1", bfd_port=FULL)), (GATEWAY, NbRows(port_groups=(GROUP,))))

Work = Callable[[Replica, idl.Transaction], Any]


def whole(replica: Replica, txn: idl.Transaction) -> Any:
    ports = ("pod1.default",)
    order = EnsureMembers(gateway=GATEWAY, gateway_uid="u", generation=1, port_group=GROUP, ports=ports)
    return groups.ensure(replica, txn, order)


def one(replica: Replica, _: idl.Transaction) -> Any:
    order = ChangeMembers(
        gateway=GATEWAY, gateway_uid="u", generation=2, base=1, port_group=GROUP, added=("pod1.default",)
    )
    return groups.change(replica, order)


def peer(replica: Replica, txn: idl.Transaction) -> Any:
    return bfd_port.ensure(replica, txn, "vpc1", None, PEER_ONLY)


@pytest.mark.parametrize(
    ("damage", "taken", "work"),
    [
        (None, ("Port_Group", GROUP), whole),
        (None, ("Port_Group", GROUP), one),
        (("remove", "Logical_Switch", PORT, "external_ids", names.GATEWAY_KEY), ("Logical_Switch", PORT), peer),
        (None, ("Logical_Router_Port", PORT), peer),
        (None, ("HA_Chassis_Group", PORT), peer),
        (None, ("Logical_Router", RELAY), peer),
    ],
)
async def test_a_row_that_lost_our_key_a_moment_before_is_not_changed(
    nb: Ovsdb, damage: tuple[str, ...] | None, taken: tuple[str, str], work: Work
) -> None:
    nb.nbctl("lr-add", "vpc1", "--", "ls-add", "subnet1", "--", "lsp-add", "subnet1", "pod1.default")
    connection = Nb(nb.remote, 10.0)
    await connection.connect()
    await connection.serving.wait()
    try:
        for owner, rows in MADE:
            await connection.transact(lambda replica, txn, o=owner, r=rows: apply.ensure(replica, txn, o, r))  # type: ignore[misc]
        if damage is not None:
            nb.nbctl(*damage)
            connection.rows_changed.clear()
            await connection.rows_changed.wait()
        seen = []

        def behind(replica: Replica, txn: idl.Transaction) -> Any:
            # The copy cannot follow: it is kept up by the thread that this runs in.
            nb.nbctl("remove", *taken, "external_ids", names.OWNER_KEY)
            seen.append(nb.dump())
            return work(replica, txn)

        with pytest.raises(NotNowError, match="try again"):
            await connection.transact(behind)
        assert nb.dump() == seen[0]
    finally:
        await connection.close()
