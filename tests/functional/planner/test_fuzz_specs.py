"""Specs nobody thought of: each is answered, none stops the planner, and OVN takes every row that comes of them."""

import asyncio
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from functional.ovsdb import Ovsdb
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from support import specs
from support.cluster import Cluster
from support.simulation import gateway

from veg_contracts.base import encode
from veg_contracts.envelope import decode_data, type_name
from veg_contracts.events import ObjectChanged
from veg_contracts.intent import NbRows
from veg_contracts.objects import Vpc
from veg_ovn_writer import apply
from veg_ovn_writer.nb import Nb
from veg_ovn_writer.rows import canonical
from veg_planner.core import Entry, World

KEY: Final = "default/gateway1"
EXAMPLES: Final = 1_125  # each of them a family of specs
FAMILY: Final = specs.CROSSED + 4
SAMPLES: Final = 600
ROUNDS_MAX: Final = 4  # how many of the generated gateways have rows, and other ones than before, varies
SAMPLES_WITH_ROWS: Final = 150  # at least, and each with other ones
ROUTERS: Final = sorted({item.router for item in specs.CLUSTER if isinstance(item, Vpc)} - {""})


# Specs that lead to rows, most of the time.
SERVING: Final = specs.plain(
    policies=specs.POLICIES,
    replicas=st.integers(1, 3),
    externalSubnet=st.sampled_from(["macvlan46", "macvlan46", "macvlan1"]),
    internalSubnet=st.just(""),
    vpc=st.sampled_from(["", "vpc1", "vpc1", "vpc6"]),
)


def test_that_is_ten_thousand_specs() -> None:
    assert EXAMPLES * FAMILY >= 10_000


def told() -> Cluster:
    """The cluster that the specs are for, all of it known to the planner."""
    made = Cluster()
    for item in specs.CLUSTER:
        made.happen(made.write(item))
    return made


TOLD: Final = told()
ENTRIES: Final = [entry for outcome in TOLD.outcomes for entry in outcome.entries if isinstance(entry, Entry)]


def fresh() -> Cluster:
    """The same again, in less time."""
    made = Cluster()
    made.world = World.load(ENTRIES)
    made.objects = dict(TOLD.objects)
    made.revision = TOLD.revision
    return made


def create(simulation: Cluster, spec: dict[str, Any], generation: int = 1) -> None:
    """As it comes over the bus: what JSON cannot say, no gateway has."""
    simulation.revision += 1
    made = ObjectChanged(
        uid="uid", resource_version=simulation.revision, object=gateway(spec=spec, generation=generation)
    )
    simulation.happen(decode_data(type_name(made), encode(made)))


def check_answered(simulation: Cluster) -> None:
    """An intent, or a condition that names the field. (`step` itself refuses an intent that breaks an invariant.)"""
    intent = simulation.intent(KEY)
    said = simulation.message("Ready", KEY)
    assert intent.workload is not None or "spec." in said, said
    assert encode(intent)
    report = simulation.world.report(KEY)
    assert report is not None
    blocked = any(step.state in ("waits", "refused") for step in report.steps)
    assert simulation.status(KEY).ready != blocked
    assert said


@pytest.mark.slow
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(specs.families())
def test_every_spec_is_answered(family: list[dict[str, Any]]) -> None:
    edited = fresh()
    for generation, spec in enumerate(family, start=1):
        created = fresh()
        create(created, copy.deepcopy(spec))
        check_answered(created)
        # And as an edit of the one before, whatever state that is in.
        create(edited, spec, generation)
        check_answered(edited)


@pytest.fixture
def nb(tmp_path: Path) -> Iterator[Ovsdb]:
    server = Ovsdb(tmp_path)
    server.start()
    server.nbctl("init")
    for router in ROUTERS:
        server.nbctl("lr-add", router)
    yield server
    server.kill()


def all_rows(samples: int) -> list[NbRows]:
    """The rows of at least that many gateways whose pods serve, each different from the others."""
    found: dict[bytes, NbRows] = {}

    @settings(max_examples=samples, suppress_health_check=list(HealthCheck))
    @given(SERVING, st.sampled_from(["auto", "static-route", "policy"]))
    def collect(spec: dict[str, Any], routing: str) -> None:
        made = fresh()
        made.configure(custom_vpc_routing=routing)
        made.happen(made.write(gateway(spec=spec)))
        made.settle()
        rows = made.rows.get(KEY)
        if rows is not None and not rows.empty:
            assert made.status(KEY).internal_ips
            found[encode(rows)] = rows

    for number in range(ROUNDS_MAX):
        seed(number)(collect)()
        if len(found) >= SAMPLES_WITH_ROWS:
            break
    return list(found.values())


async def write(remote: str, samples: list[NbRows]) -> None:
    """As the writer does: each as a change of the one before, and as rows where there were none."""
    nb = Nb(remote, 10.0)
    await nb.connect()
    await nb.serving.wait()
    try:
        for rows in samples:
            assert canonical(rows) == rows, "the planner sorts as the writer does, or its observation would be drift"
            for wanted in (rows, NbRows(), rows):
                await _write(nb, wanted)
        await _write(nb, NbRows())
    finally:
        await nb.close()


async def _write(nb: Nb, rows: NbRows) -> None:
    await nb.transact(lambda replica, txn: apply.ensure(replica, txn, KEY, rows))


@pytest.mark.slow
def test_ovn_takes_every_row(nb: Ovsdb) -> None:
    samples = all_rows(SAMPLES)
    assert len(samples) >= SAMPLES_WITH_ROWS
    for field in ("policies", "static_routes", "port_groups"):
        assert any(getattr(rows, field) for rows in samples), f"no sample has {field}"
    asyncio.run(write(nb.remote, samples))
    for table in ("Logical_Router_Policy", "Logical_Router_Static_Route", "Port_Group"):
        assert nb.rows(table) == []
