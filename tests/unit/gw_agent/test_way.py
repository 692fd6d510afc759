import pytest

from veg_contracts.intent import Route
from veg_gw_agent import way
from veg_gw_agent.settings import AgentSettings
from veg_gw_agent.way import Rule, RuleChanges, Way
from veg_runtime.settings import SettingsError, load

URL = "nats://10.96.42.22:4222"
WAY = Way(interface="eth0", gateways="10.16.0.1,fd00:10:16::1", addresses=("10.96.42.22", "fd00:96::16"))
LOOK_UP = Rule(priority=118, destination="10.96.42.22/32")
REFUSE = Rule(priority=119, destination="10.96.42.22/32")


def test_no_interface_is_no_way() -> None:
    assert way.read(URL, "", "10.16.0.1", "eth0") is None


def test_each_address_of_the_url_counts_once_and_names_are_told() -> None:
    urls = f"{URL}, tls://[FD00:96:0::16]:4222,{URL},nats://veg-nats.kube-system:4222"
    found = way.read(urls, "eth0", "10.16.0.1", "eth0")
    assert found == Way(
        interface="eth0",
        gateways="10.16.0.1",
        addresses=("10.96.42.22", "fd00:96::16"),
        names=("veg-nats.kube-system",),
    )


@pytest.mark.parametrize(("interface", "apart"), [("eth0", False), ("net2", True)])
def test_an_interface_on_which_no_clients_come_is_apart(interface: str, apart: bool) -> None:
    found = way.read(URL, interface, "10.250.0.1", "eth0")
    assert found is not None
    assert found.apart == apart


def test_each_address_has_a_route_by_the_gateway_of_its_family() -> None:
    assert way.routes(WAY, "4") == (Route(destination="10.96.42.22/32", gateway="10.16.0.1", interface="eth0"),)
    assert way.routes(WAY, "6") == (Route(destination="fd00:96::16/128", gateway="fd00:10:16::1", interface="eth0"),)
    assert way.unreached(WAY) == ()


def test_an_address_without_a_gateway_is_refused_and_named() -> None:
    only4 = Way(interface="eth0", gateways="10.16.0.1", addresses=WAY.addresses)
    assert way.routes(only4, "6") == ()
    assert [rule.destination for rule in way.rules(only4, "6")] == ["fd00:96::16/128"] * 2
    assert way.unreached(only4) == (), "the other one is reached"
    only6 = Way(interface="eth0", gateways="10.16.0.1", addresses=("fd00:96::16",))
    assert way.unreached(only6) == ("bus at fd00:96::16: VEG_BUS_GATEWAYS='10.16.0.1' has no gateway of IPv6",)


def test_each_address_is_looked_up_in_our_table_and_refused_after_it() -> None:
    assert way.rules(WAY, "4") == (LOOK_UP, REFUSE)
    assert (LOOK_UP.refuses, REFUSE.refuses) == (False, True)


def test_the_rule_that_refuses_comes_first_and_goes_last() -> None:
    other = tuple(Rule(priority=priority, destination="10.96.0.9/32") for priority in (118, 119))
    changes = way.rule_changes(way.rules(WAY, "4"), other)
    assert changes == RuleChanges(add=(REFUSE, LOOK_UP), remove=other)
    assert way.rule_changes(way.rules(WAY, "4"), (REFUSE, LOOK_UP)) == RuleChanges()


def test_the_settings_name_the_way() -> None:
    pod = {"VEG_GATEWAY": "default/gateway1", "VEG_GATEWAY_UID": "u1", "VEG_NATS_URL": URL}
    assert load(AgentSettings, pod).way is None
    found = load(AgentSettings, pod | {"VEG_BUS_INTERFACE": "net2", "VEG_BUS_GATEWAYS": "10.250.0.1"}).way
    assert found == Way(interface="net2", gateways="10.250.0.1", addresses=("10.96.42.22",), apart=True)
    with pytest.raises(SettingsError, match=r'VEG_BUS_GATEWAYS: \'10.250.0.1,x\': "v4", "v6" or "v4,v6" is allowed'):
        load(AgentSettings, pod | {"VEG_BUS_GATEWAYS": "10.250.0.1,x"})
