"""Names: the formats of Kube-OVN, and subjects that any Kubernetes name fits into."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veg_contracts import addresses, names, subjects

KUBERNETES_NAME = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?(\.[a-z0-9]{1,5}){0,2}", fullmatch=True)


def test_long_names_get_a_label_value_of_at_most_63_characters() -> None:
    long = "a" * 70
    assert names.label_value("gateway1") == "gateway1"
    assert len(names.label_value(long)) == 63
    assert names.label_value(long) != names.label_value(long + "a")


@given(KUBERNETES_NAME, KUBERNETES_NAME, KUBERNETES_NAME, KUBERNETES_NAME)
def test_two_gateways_never_share_a_subject(one: str, other: str, space: str, other_space: str) -> None:
    first, second = f"{space}/{one}", f"{other_space}/{other}"
    same = subjects.config_key(first) == subjects.config_key(second)
    assert same == (first == second)
    assert subjects.kube_command(first).count(".") == 4


def test_owner_ids_are_the_documents() -> None:
    assert names.owner_ids("default/gateway2", "4") == {
        "vendor": "kube-ovn",
        "vpc-egress-gateway.io/owner": "default/gateway2",
        "vpc-egress-gateway": "default/gateway2",
        "af": "4",
    }


@pytest.mark.parametrize(
    ("text", "masked"),
    [("10.16.0.5/16", "10.16.0.0/16"), ("10.16.0.5", "10.16.0.5/32"), ("fd00::1", "fd00::1/128")],
)
def test_cidrs_lose_their_host_bits(text: str, masked: str) -> None:
    assert addresses.masked(text) == masked


@given(st.text(max_size=40))
def test_any_text_as_an_address_is_read_or_refused(text: str) -> None:
    for family in addresses.FAMILIES:
        member = addresses.of_family(text, family)
        assert member == "" or addresses.family(member) == family
    try:
        found = addresses.families(text)
    except ValueError:
        return
    assert found


@pytest.mark.parametrize(
    ("outer", "inner", "contained"),
    [
        ("10.16.0.0/16", "10.16.0.9", True),
        ("10.16.0.0/16", "10.16.0.0/16", True),
        ("10.16.0.0/16", "10.0.0.0/8", False),
        ("::/0", "10.16.0.9", False),
        ("fd00::/64", "fd00::9", True),
    ],
)
def test_contains(outer: str, inner: str, contained: bool) -> None:
    assert addresses.contains(outer, inner) is contained
