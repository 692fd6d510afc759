"""Two gateways that claim the same: the oldest has it, the other one says so by name and takes over when it goes."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.clients import Asking, await_running, client_pod, seen
from support.lab import Lab, conditions, eventually, gateway_manifest
from support.northbound import members, policies

# In the order of their age, which is not the order of their names.
OLDER, YOUNGER = "the-older", "a-younger"
TAKES_OVER_WITHIN_S = 8.0


@pytest.fixture(scope="module")
def source(lab: Lab) -> Iterator[str]:
    """The address of a pod that both claim."""
    lab.apply(client_pod("contested", labels={"contested": "yes"}), client_pod("other", labels={"other": "yes"}))
    await_running(lab, "default/contested", "default/other")
    yield lab.get("pod", "contested")["status"]["podIP"]
    lab.kubectl("delete", "pod", "contested", "other")


@pytest.fixture(autouse=True)
def gone(lab: Lab) -> Iterator[None]:
    yield
    lab.kubectl("delete", "veg", OLDER, YOUNGER, "--ignore-not-found", "--timeout=60s")


def external(lab: Lab, name: str) -> list[str]:
    addresses: list[str] = lab.gateway(name)["status"]["externalIPs"]
    return addresses


def said(lab: Lab, name: str) -> str:
    return conditions(lab.gateway(name)).get("Ready", "")


def create(lab: Lab, older: dict[str, Any], younger: dict[str, Any]) -> None:
    """The older one is ready before the younger one is made, so its creationTimestamp is earlier."""
    lab.apply(gateway_manifest(OLDER, **older))
    lab.ready(OLDER, 1)
    lab.apply(gateway_manifest(YOUNGER, **younger))

    def addressed() -> bool:
        return len(lab.gateway(YOUNGER).get("status", {}).get("externalIPs", [])) == 1

    eventually(addressed, 30, "the younger gateway has its pod")


def test_the_oldest_has_the_source_and_the_other_takes_over(lab: Lab, source: str) -> None:
    both = {"policies": [{"snat": True, "ipBlocks": [source]}]}
    create(lab, both, both)
    text = f"source {source}/32 is taken by VpcEgressGateway default/{OLDER}, which is older"
    eventually(lambda: text in said(lab, YOUNGER), 10, "the younger one says who has it")
    assert not lab.gateway(YOUNGER)["status"]["ready"]
    assert lab.gateway(OLDER)["status"]["ready"]
    assert policies(lab, f"default/{YOUNGER}") == {}
    assert {seen(lab, "default/contested") for _ in range(5)} == set(external(lab, OLDER))

    with Asking(lab, "default/contested") as asking:
        addresses = external(lab, YOUNGER)
        lab.kubectl("delete", "veg", OLDER, "--wait=false")
        took_s = asking.until(addresses, TAKES_OVER_WITHIN_S)
        print(f"taken over after {took_s:.2f} s")
    lab.ready(YOUNGER, 1)
    assert policies(lab, f"default/{YOUNGER}") == {
        f"ip4.src == {source}/32": lab.gateway(YOUNGER)["status"]["internalIPs"]
    }


def test_what_only_the_younger_claims_is_its_own(lab: Lab, source: str) -> None:
    mine = lab.get("pod", "other")["status"]["podIP"]
    create(
        lab,
        {"policies": [{"snat": True, "ipBlocks": [source]}]},
        {"policies": [{"snat": True, "ipBlocks": [source, mine]}]},
    )
    addresses = external(lab, YOUNGER)
    eventually(lambda: seen(lab, "default/other") in addresses, 10, "its own source leaves through it")
    assert seen(lab, "default/contested") in external(lab, OLDER)
    # The older one gives it up by an edit: no need to be deleted.
    lab.apply(gateway_manifest(OLDER, policies=[{"snat": True, "ipBlocks": ["10.93.0.0/24"]}]))
    eventually(lambda: seen(lab, "default/contested") in addresses, TAKES_OVER_WITHIN_S, "the younger one has it")
    lab.ready(YOUNGER, 1)
    lab.ready(OLDER, 1)


def test_the_same_by_the_name_of_a_subnet_and_by_its_cidr(lab: Lab, source: str) -> None:  # noqa: ARG001  # its pod
    create(
        lab,
        {"policies": [{"snat": True, "subnets": ["ovn-default"]}]},
        {"policies": [{"snat": True, "ipBlocks": ["10.16.0.0/16"]}]},
    )
    text = f"source 10.16.0.0/16 is taken by VpcEgressGateway default/{OLDER}, which is older"
    eventually(lambda: text in said(lab, YOUNGER), 10, "the younger one says who has it")
    assert seen(lab, "default/contested") in external(lab, OLDER)


def test_a_pod_that_both_select_belongs_to_the_oldest(lab: Lab, source: str) -> None:  # noqa: ARG001  # its pod
    contested = {"podSelector": {"matchLabels": {"contested": "yes"}}}
    other = {"podSelector": {"matchLabels": {"other": "yes"}}}
    create(
        lab,
        {"policies": [], "selectors": [contested]},
        {"policies": [], "selectors": [contested, other]},
    )
    lab.ready(YOUNGER, 1)
    assert members(lab, f"default/{OLDER}") == {"default/contested"}
    assert members(lab, f"default/{YOUNGER}") == {"default/other"}
    assert seen(lab, "default/contested") in external(lab, OLDER)
    assert seen(lab, "default/other") in external(lab, YOUNGER)
    (report,) = lab.sql(
        "SELECT data::text FROM report WHERE gateway = %(gateway)s ORDER BY position DESC LIMIT 1",
        gateway=f"default/{YOUNGER}",
    )
    assert f"pods that VpcEgressGateway default/{OLDER} selects too stay with it: it is older" in report["data"]

    with Asking(lab, "default/contested") as asking:
        addresses = external(lab, YOUNGER)
        lab.kubectl("delete", "veg", OLDER, "--wait=false")
        took_s = asking.until(addresses, TAKES_OVER_WITHIN_S)
        print(f"taken over after {took_s:.2f} s")
    eventually(
        lambda: members(lab, f"default/{YOUNGER}") == {"default/contested", "default/other"}, 5, "it has both pods"
    )
