"""A planner between a real bus and a real database, when nothing goes wrong."""

import json

from functional.planner.harness import (
    Client,
    Planner,
    assert_consistent,
    on_the_bus,
    play,
    runs,
    scenario,
    wait_logged,
    wait_relayed,
)
from functional.servers import Database, Nats, wait_for
from support.simulation import GATEWAY

from veg_contracts.base import encode
from veg_contracts.subjects import COMMAND_STREAM, CONFIG_STREAM
from veg_planner import digest


def test_it_decides_what_the_core_decides_and_relays_all_of_it_in_order(
    planner: Planner, nats_server: Nats, database: Database
) -> None:
    simulation, client = scenario(), Client(nats_server)
    events = on_the_bus(simulation.log)
    for run in runs(events):
        planner.kill()
        client.publish(run)
        planner.start()  # all in one batch, so that no tick comes between them
        wait_logged(database, run)
    wait_relayed(database)

    intents = [digest.of_intent(intent) for outcome in simulation.outcomes for intent in outcome.intents]
    assert database.sql("select digest from intent order by position, gateway").splitlines() == intents
    ids = [outgoing.id for outgoing in simulation.sent]
    assert database.sql("select id from command order by position, ordinal").splitlines() == ids
    relayed = [headers["ce-id"] for _, headers, _ in client.messages(COMMAND_STREAM)]
    assert relayed == [identity for identity in ids if not identity.startswith("cmd/config/")]
    assert_consistent(database, events)
    assert "veg_planner_leading 1.0" in planner.metrics()


def test_the_last_config_stands_in_the_bucket_with_the_headers_of_its_command(
    planner: Planner, nats_server: Nats, database: Database
) -> None:
    assert planner.alive
    simulation, client = scenario(), Client(nats_server)
    play(client, database, on_the_bus(simulation.log))
    wait_relayed(database)

    subject, headers, body = client.messages(CONFIG_STREAM)[-1]
    assert subject == "$KV.veg-config.default.gateway1"
    assert body == encode(simulation.config[GATEWAY])
    assert headers["ce-id"].startswith("cmd/config/default/gateway1/")
    assert headers["ce-causationid"] in database.sql("select id from event").splitlines()


def test_a_deleted_gateway_leaves_no_config(planner: Planner, nats_server: Nats, database: Database) -> None:
    assert planner.alive
    simulation, client = scenario(), Client(nats_server)
    simulation.create(replicas=2, generation=3, deleting=True, finalizers=("vpc-egress-gateway.io/finalizer",))
    simulation.answer_all()
    play(client, database, on_the_bus(simulation.log))
    wait_relayed(database)

    _, headers, body = client.messages(CONFIG_STREAM)[-1]
    assert (headers["KV-Operation"], body) == ("DEL", b"")


def test_doubles_are_dropped_also_after_the_buss_own_window(
    planner: Planner, nats_server: Nats, database: Database
) -> None:
    assert planner.alive
    events, client = on_the_bus(scenario().log), Client(nats_server)
    play(client, database, events)
    for event in events:
        client.publish([event], message_id=f"again/{event.id}")
    client.publish_raw("veg.evt.ovn.marker", b"the last message")
    wait_for("the marker", lambda: database.sql("select count(*) from rejected") == "1")
    database.sql("delete from rejected")
    assert_consistent(database, events)


def test_the_story_carries_causes_from_the_event_to_the_command(
    planner: Planner, nats_server: Nats, database: Database
) -> None:
    assert planner.alive
    events, client = on_the_bus(scenario().log), Client(nats_server)
    play(client, database, events)
    wait_relayed(database)
    rows = database.sql(
        "select json_agg(json_build_object('cause', e.id, 'named', c.causation_id, 'story', c.correlation_id))"
        " from command c join event e using (position)"
    )
    for row in json.loads(rows):
        assert row["named"] == row["cause"]
        assert row["story"] == row["cause"]


def test_it_stops_cleanly_and_lets_go_of_its_lease(planner: Planner, database: Database) -> None:
    assert planner.stop() == 0
    assert database.sql("select expires_at <= clock_timestamp() from lease") == "t"
