from veg_contracts.envelope import from_message, to_body, to_headers
from veg_contracts.events import ConfigApplied, ConfigFailed
from veg_contracts.intent import PodConfig, Source
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
    assert envelope.id == "agent/p1/4/applied"
    assert envelope.subject == "veg.evt.agent.default.gateway1.gateway1-abc"
    assert (envelope.causation_id, envelope.correlation_id) == ("command-7", "event-1")
    assert isinstance(envelope.data, ConfigApplied)
    assert envelope.data.sources == (SOURCE, OLD)
    assert envelope.data.default_snat
    assert from_message(envelope.subject, to_headers(envelope), to_body(envelope)) == envelope


def test_failed_says_what() -> None:
    envelope = outcomes.failed(HELD, POD, Progress().failed(4, "interface net1: does not exist"), TIME)
    assert envelope.id == "agent/p1/4/failed/1"
    assert isinstance(envelope.data, ConfigFailed)
    assert envelope.data.message == "interface net1: does not exist"
