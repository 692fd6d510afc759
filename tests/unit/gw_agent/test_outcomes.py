import msgspec

from veg_contracts.envelope import from_message, to_body, to_headers
from veg_contracts.events import ConfigApplied, ConfigFailed
from veg_contracts.intent import PodConfig, Source, digest_of_sources
from veg_gw_agent import outcomes
from veg_gw_agent.settings import Pod
from veg_gw_agent.state import Held, Progress

SOURCE, OLD = Source(cidr="10.16.0.0/16", snat=True), Source(cidr="10.17.0.0/16", snat=True)
HELD = Held(
    config=PodConfig(
        gateway="default/gateway1",
        gateway_uid="u1",
        generation=4,
        sources=(SOURCE,),
        lingering=(OLD,),
        default_snat=True,
    ),
    causation_id="command-7",
    correlation_id="event-1",
)
POD = Pod(name="gateway1-abc", namespace="default", uid="p1")
TIME = "2026-01-01T00:00:00.000000Z"


def test_applied_names_its_cause_and_all_sources_it_takes() -> None:
    envelope = outcomes.applied(HELD, POD, Progress().succeeded(4), TIME)
    assert envelope.id == "agent/default/gateway1-abc/p1/4/applied"
    assert envelope.subject == "veg.evt.agent.default.gateway1.gateway1-abc"
    assert (envelope.causation_id, envelope.correlation_id) == ("command-7", "event-1")
    assert isinstance(envelope.data, ConfigApplied)
    assert envelope.data.sources == (SOURCE, OLD)
    assert envelope.data.default_snat
    assert from_message(envelope.subject, to_headers(envelope), to_body(envelope)) == envelope


def test_failed_says_what() -> None:
    envelope = outcomes.failed(HELD, POD, Progress().failed(4, "interface net1: does not exist"), TIME)
    assert envelope.id == "agent/default/gateway1-abc/p1/4/failed/1"
    assert isinstance(envelope.data, ConfigFailed)
    assert envelope.data.message == "interface net1: does not exist"


def test_a_malformed_config_is_reported_apart_from_what_failed() -> None:
    envelope = outcomes.malformed(HELD, POD, "generation: 0, must be at least 1", TIME)
    assert envelope.id == "agent/default/gateway1-abc/p1/4/malformed"
    assert envelope.causation_id == "command-7"
    assert isinstance(envelope.data, ConfigFailed)
    assert envelope.data.message == "generation: 0, must be at least 1"


def test_a_long_message_is_cut() -> None:
    envelope = outcomes.failed(HELD, POD, Progress().failed(4, "\U0001f600" * 500_000), TIME)
    assert isinstance(envelope.data, ConfigFailed)
    assert envelope.data.message.endswith("… (500000 characters, all of them in the agent's log)")
    assert len(to_body(envelope)) < 20_000
    short = outcomes.failed(HELD, POD, Progress().failed(4, "x" * 4096), TIME)
    assert isinstance(short.data, ConfigFailed)
    assert short.data.message == "x" * 4096


def test_more_sources_than_fit_a_message_are_told_by_their_digest() -> None:
    many = tuple(Source(cidr=f"10.{number // 250}.{number % 250}.0/24", snat=True) for number in range(5000))
    held = msgspec.structs.replace(HELD, config=msgspec.structs.replace(HELD.config, sources=many))
    envelope = outcomes.applied(held, POD, Progress().succeeded(4), TIME)
    assert envelope.data.sources == ()
    assert envelope.data.sources_digest == digest_of_sources((*many, OLD))
    assert len(to_body(envelope)) < 1000
