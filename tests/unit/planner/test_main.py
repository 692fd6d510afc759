"""The planner's own settings."""

from pathlib import Path

import pytest
from support.certificates import Authority

from veg_contracts.configuration import PlannerSettings
from veg_contracts.names import KUBE_OVN_GROUP, OWN_GROUP
from veg_planner.main import ServiceSettings
from veg_runtime.settings import SettingsError, load

AGENTS = {"VEG_AGENT_NATS_URL": "tls://bus:4222"}
DATABASE = {"VEG_POSTGRES_URL": "postgresql+psycopg://veg_planner:word@database/veg"}


def test_without_any_other_setting_it_plans_with_the_defaults() -> None:
    assert load(ServiceSettings, DATABASE).planning() == PlannerSettings(bfd_relay="auto", disruption_budgets=True)


def test_the_addresses_of_relays_are_put_into_one_form() -> None:
    found = load(ServiceSettings, DATABASE | {"VEG_BFD_RELAY_IPS": " FD37:0::1 , 169.254.1.1"}).planning()
    assert found.bfd_relay_ips == "169.254.1.1,fd37::1"


@pytest.mark.parametrize("value", ["", "x", "169.254.1.1/32", "10.0.0.1,10.0.0.2", "224.0.0.5", "::", "127.0.0.1"])
def test_what_is_no_address_for_relays_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=f"VEG_BFD_RELAY_IPS: '{value}': an address .* is needed"):
        load(ServiceSettings, DATABASE | {"VEG_BFD_RELAY_IPS": value})


def test_the_api_group_is_one_of_two() -> None:
    assert load(ServiceSettings, DATABASE | {"VEG_API_GROUP": OWN_GROUP}).planning().api_group == OWN_GROUP
    with pytest.raises(SettingsError, match=r"VEG_API_GROUP: 'x': kubeovn.io or vpc-egress-gateway.io is allowed"):
        load(ServiceSettings, DATABASE | {"VEG_API_GROUP": "x"})


@pytest.mark.parametrize(
    ("group", "said", "makes"),
    [
        (KUBE_OVN_GROUP, "auto", True),
        (KUBE_OVN_GROUP, "false", False),
        (OWN_GROUP, "auto", False),
        (OWN_GROUP, "true", True),
    ],
)
def test_in_a_group_of_our_own_bfd_ports_are_left_to_kube_ovn(group: str, said: str, makes: bool) -> None:
    found = load(ServiceSettings, DATABASE | {"VEG_API_GROUP": group, "VEG_MANAGE_BFD_PORTS": said})
    assert found.planning().manage_bfd_ports == makes


@pytest.mark.parametrize(
    "variable", ["VEG_FLAP_COUNT", "VEG_FLAP_WINDOW_S", "VEG_FLAP_HOLD_S", "VEG_FLAP_HOLD_MAX_S", "VEG_LEASE_TTL_S"]
)
@pytest.mark.parametrize("value", ["99999999999", "-1"])
def test_a_number_out_of_its_range_is_refused(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable}: '{value}': Expected `(int|float)` [<>]="):
        load(ServiceSettings, DATABASE | {variable: value})


def test_a_lease_needs_a_finite_time() -> None:
    for value in ("nan", "inf"):
        with pytest.raises(SettingsError, match="VEG_LEASE_TTL_S"):
            load(ServiceSettings, DATABASE | {"VEG_LEASE_TTL_S": value})


def test_a_url_for_agents_with_a_credential_is_refused_and_not_repeated() -> None:
    # It would stand in the log for ever, and in every Deployment.
    with pytest.raises(SettingsError, match=r"VEG_AGENT_NATS_URL: .* gateway pods show their token") as refused:
        load(ServiceSettings, DATABASE | {"VEG_AGENT_NATS_URL": "nats://user:word@bus:4222"})
    assert "word" not in str(refused.value)
    with pytest.raises(SettingsError, match="VEG_NATS_URL"):
        load(ServiceSettings, DATABASE | {"VEG_NATS_URL": "nats://user:word@bus:4222"})


def test_agents_are_told_the_certificates_of_an_authority_and_nothing_else(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    said = DATABASE | AGENTS | {"VEG_AGENT_NATS_TLS_CA": f"# the bus's own\n{authority.pem}"}
    assert load(ServiceSettings, said).planning().agent_nats_tls_ca == authority.pem.strip()
    key = authority.issue("bus").key.read_text()
    wrong = {key: "a private key is not allowed here", "x": "certificates in PEM form", authority.pem * 30: "16384"}
    for text, reason in wrong.items():
        with pytest.raises(SettingsError, match=f"^VEG_AGENT_NATS_TLS_CA: .*{reason}") as refused:
            load(ServiceSettings, DATABASE | AGENTS | {"VEG_AGENT_NATS_TLS_CA": text})
        assert key.splitlines()[1] not in str(refused.value)


def test_tls_for_agents_whose_url_has_none_is_refused() -> None:
    said = {"VEG_AGENT_NATS_URL": "nats://bus:4222", "VEG_AGENT_NATS_TLS_SERVER_NAME": "bus"}
    with pytest.raises(
        SettingsError, match=r"VEG_AGENT_NATS_URL: .* with VEG_AGENT_NATS_TLS_SERVER_NAME it must begin"
    ):
        load(ServiceSettings, DATABASE | said)


def test_the_way_of_the_agents_to_the_bus() -> None:
    words = {"VEG_MANAGEMENT_NETWORK": "kube-system/veg-mgmt", "VEG_AGENT_NATS_VIA": "external"}
    found = load(ServiceSettings, DATABASE | words).planning()
    assert (found.management_network, found.agent_nats_via) == ("kube-system/veg-mgmt", "external")
    with pytest.raises(SettingsError, match="VEG_MANAGEMENT_NETWORK: 'veg-mgmt': namespace/name of a Network"):
        load(ServiceSettings, DATABASE | {"VEG_MANAGEMENT_NETWORK": "veg-mgmt"})
    with pytest.raises(SettingsError, match="VEG_AGENT_NATS_VIA: 'x': cluster or external is allowed"):
        load(ServiceSettings, DATABASE | {"VEG_AGENT_NATS_VIA": "x"})


@pytest.mark.parametrize("url", ["no url", "postgresql://u:pa@wo:rd@host/veg", "postgresql://u:wo@rd@host/veg"])
def test_a_database_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match=r"VEG_POSTGRES_URL: .*%40") as refused:
        load(ServiceSettings, {"VEG_POSTGRES_URL": url})
    assert "rd" not in str(refused.value).replace("password", "")
    assert refused.value.__cause__ is None
