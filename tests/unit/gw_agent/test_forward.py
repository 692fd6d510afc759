import msgspec
import pytest

from veg_contracts.intent import PodConfig, Source
from veg_gw_agent import forward, nat

CONFIG = PodConfig(
    gateway="default/gateway1",
    gateway_uid="u1",
    generation=1,
    families=("4",),
    sources=(
        Source(cidr="10.16.0.0/16", snat=True),
        Source(cidr="10.17.0.0/16", snat=False),
        Source(cidr="fd00::/64", snat=True),
    ),
    lingering=(Source(cidr="10.18.0.0/16", snat=True), Source(cidr="10.19.0.0/16", snat=False)),
)
UNSEEN = "-o net1 -m conntrack --ctstate INVALID,UNTRACKED -j"
SNAT = tuple(f"FORWARD -s {cidr} {UNSEEN} DROP" for cidr in ("10.16.0.0/16", "10.18.0.0/16"))


def test_a_source_with_snat_is_dropped_where_nat_does_not_see_it() -> None:
    assert forward.wanted(CONFIG, "4") == SNAT
    assert forward.wanted(CONFIG, "6") == ()
    both = msgspec.structs.replace(CONFIG, families=("4", "6"))
    assert forward.wanted(both, "6") == (f"FORWARD -s fd00::/64 {UNSEEN} DROP",)


def test_by_default_snat_everything_is_but_the_forwarded_sources() -> None:
    assert forward.wanted(msgspec.structs.replace(CONFIG, default_snat=True), "4") == (
        *SNAT,
        f"FORWARD -s 10.17.0.0/16 {UNSEEN} RETURN",
        f"FORWARD -s 10.19.0.0/16 {UNSEEN} RETURN",
        f"FORWARD {UNSEEN} DROP",
    )


def test_a_source_of_length_zero_is_written_as_iptables_writes_it() -> None:
    everything = msgspec.structs.replace(CONFIG, sources=(Source(cidr="0.0.0.0/0", snat=True),), lingering=())
    assert forward.wanted(everything, "4") == (f"FORWARD {UNSEEN} DROP",)


def test_only_rules_of_exactly_our_shape_are_ours() -> None:
    ours = forward.wanted(msgspec.structs.replace(CONFIG, default_snat=True, external_interface="net2"), "4")
    lines = [
        "*mangle",
        ":FORWARD ACCEPT [0:0]",
        "-A FORWARD -m conntrack --ctstate INVALID",
        "-A FORWARD -s 10.16.0.0/16 -m conntrack --ctstate INVALID,UNTRACKED -j DROP",
        "-A FORWARD -s 10.16.0.0/16 -o net1 -m conntrack --ctstate INVALID -j DROP",
        "-A POSTROUTING -s 10.16.0.0/16 -o net1 -m conntrack --ctstate INVALID,UNTRACKED -j DROP",
        *(f"-A {line}" for line in ours),
        "COMMIT",
    ]
    assert forward.found("\n".join(lines)) == ours
    assert nat.restore_input((), ours[:1], forward.DROP_TABLE) == f"*mangle\n-D {ours[0]}\nCOMMIT\n"


@pytest.mark.parametrize(
    ("saved", "policy"),
    [("", "ACCEPT"), ("*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [3:180]\n:OUTPUT ACCEPT [0:0]\n", "DROP")],
)
def test_the_policy_is_changed_when_it_is_another(saved: str, policy: str) -> None:
    assert forward.policy(saved) == policy
    for wanted in (forward.CLOSED, forward.OPEN):
        text = f"*filter\n:FORWARD {wanted} [0:0]\nCOMMIT\n"
        assert forward.policy_input(saved, wanted) == ("" if wanted == policy else text)


def test_an_interface_that_leads_to_the_bus_is_kept_out_of_forwarding() -> None:
    rules = ["-A FORWARD -o net2 -j DROP", "-A FORWARD -i net2 -j DROP"]
    wanted = "*mangle\n-I FORWARD -i net2 -j DROP\n-I FORWARD -o net2 -j DROP\nCOMMIT\n"
    assert forward.apart_input("", "net2") == wanted
    assert forward.apart_input("\n".join(rules[:1]), "net2") == "*mangle\n-I FORWARD -i net2 -j DROP\nCOMMIT\n"
    assert forward.apart_input("\n".join(rules), "net2") == ""
    assert forward.found("\n".join(rules)) == ()  # no source's rules: they stay, whatever the config says
