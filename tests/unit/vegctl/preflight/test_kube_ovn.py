"""Versions of Kubernetes and Kube-OVN, whose CRD it is, and what follows for the API group and the BFD ports."""

import pytest
from support.preflight import (
    BESIDE,
    CLUSTER,
    KUBE_OVN_GATEWAYS,
    cluster,
    controller,
    definition,
    facts,
    ours,
    said,
    vpcs_definition,
)

from veg_contracts.names import KUBE_OVN_FINALIZER, KUBE_OVN_GROUP, OWN_GROUP
from vegctl.preflight import kube_ovn
from vegctl.preflight.derive import report
from vegctl.preflight.facts import Cluster, Gateway
from vegctl.preflight.findings import Verdict
from vegctl.preflight.kube_ovn import Version


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("v1.36.4", Version(1, 36, 4)),
        ("v1.28.3-eks-4f4795d", Version(1, 28, 3)),
        ("docker.io/kubeovn/kube-ovn:v1.14.41", Version(1, 14, 41)),
        ("registry:5000/a/kube-ovn:v1.17.0-x86", Version(1, 17, 0)),
        ("kube-ovn:1.13", Version(1, 13, 0)),
        ("kube-ovn:v1.15.2@sha256:1.99", Version(1, 15, 2)),
        ("registry.1.2:5000/kube-ovn", None),
        ("kube-ovn:latest", None),
        ("kube-ovn@sha256:0123", None),
        ("", None),
    ],
)
def test_a_version_is_read_from_a_tag(text: str, found: Version | None) -> None:
    assert kube_ovn.parse(text) == found


def test_our_crds_are_told_from_kube_ovns() -> None:
    for group in (KUBE_OVN_GROUP, OWN_GROUP):
        assert kube_ovn.is_ours(cluster(definitions=(ours(group),)), group) is True
    assert kube_ovn.is_ours(cluster(definitions=(definition(KUBE_OVN_GATEWAYS),)), KUBE_OVN_GROUP) is False
    assert kube_ovn.is_ours(cluster(definitions=()), KUBE_OVN_GROUP) is None


def test_everything_that_should_be_is_there() -> None:
    found = report(facts())
    assert said(found) == {}
    assert found.verdict is Verdict.WORKS


@pytest.mark.parametrize(
    ("version", "severity"),
    [("v1.27.9", "blocker"), ("v1.28.0", ""), ("v1.36.4", ""), ("v1.37.0", "unknown"), ("odd", "unknown")],
)
def test_kubernetes(version: str, severity: str) -> None:
    text = said(report(facts(cluster=cluster(version=version)))).get("kubernetes.version Kubernetes", "")
    assert text.partition(":")[0] == severity


@pytest.mark.parametrize(
    ("release", "severity", "deletes"),
    [
        ("v1.12.4", "blocker", 0),
        ("v1.13.15", "", 2),
        ("v1.14.41", "", 2),
        ("v1.15.2", "", 2),
        ("v1.15.16", "", 1),
        ("v1.15.17", "", 0),
        ("v1.16.2", "", 1),
        ("v1.16.3", "", 0),
        ("v1.17.0", "", 0),
        ("v1.18.0", "unknown", 0),
        ("latest", "unknown", 0),
    ],
)
def test_kube_ovn_and_what_it_deletes(release: str, severity: str, deletes: int) -> None:
    found = report(facts(cluster=cluster(controller=controller(release)))).findings
    (version,) = [each for each in found if each.id == "kube-ovn.version"]
    assert str(version.severity) == (severity or "ok")
    assert len([each for each in found if each.id == "kube-ovn.deletes"]) == deletes


def test_a_cluster_without_kube_ovn() -> None:
    found = report(facts(cluster=cluster(definitions=(), controller=None)))
    assert "no cluster with Kube-OVN" in said(found)["kube-ovn.version Kube-OVN"]
    assert found.verdict is Verdict.DOES_NOT_WORK


BARE = cluster(CLUSTER, controller=None)


@pytest.mark.parametrize(
    "seen",
    [
        cluster(BARE, controller=controller("v1.14.0")),
        cluster(BARE, definitions=(vpcs_definition(), definition(KUBE_OVN_GATEWAYS))),
        cluster(BARE, gateways=(Gateway(key="default/g", group=KUBE_OVN_GROUP, finalizers=(KUBE_OVN_FINALIZER,)),)),
    ],
    ids=["version", "crd", "finalizer"],
)
def test_k4_each_sign_of_its_own_reconciler_leads_to_a_group_of_our_own(seen: Cluster) -> None:
    found = report(facts(cluster=seen))
    assert found.values is not None
    assert found.values.api_group == OWN_GROUP
    refused = report(facts(cluster=seen, asked={"api_group": KUBE_OVN_GROUP}))
    assert f"set VEG_API_GROUP={OWN_GROUP}" in said(refused)["kube-ovn.gateways Kube-OVN"]
    assert refused.verdict is Verdict.DOES_NOT_WORK
    assert refused.values == found.values, "what follows is what would work"


def test_without_a_sign_the_group_is_that_of_the_reference_or_the_one_that_is_asked_for() -> None:
    found = report(facts(cluster=CLUSTER)).values
    assert found is not None
    assert found.api_group == KUBE_OVN_GROUP
    asked = report(facts(cluster=CLUSTER, asked={"api_group": OWN_GROUP})).values
    assert asked is not None
    assert asked.api_group == OWN_GROUP


def test_what_could_not_be_seen_is_not_taken_for_absent() -> None:
    seen = cluster(definitions=(), controller=None, unread={"definitions": "403", "controller": "403"})
    found = said(report(facts(cluster=seen)))
    assert "could not be seen" in found["kube-ovn.gateways Kube-OVN"]
    assert found["unread.definitions CustomResourceDefinitions"].startswith("unknown: could not be read: 403")


@pytest.mark.parametrize(
    ("seen", "group", "manage", "trouble"),
    [
        (CLUSTER, KUBE_OVN_GROUP, "auto", ""),
        (CLUSTER, OWN_GROUP, "auto", "nobody makes these ports"),
        (CLUSTER, OWN_GROUP, "true", ""),
        (CLUSTER, KUBE_OVN_GROUP, "false", "nobody makes these ports"),
        (BESIDE, OWN_GROUP, "auto", ""),
        (BESIDE, OWN_GROUP, "true", "each undoes what the other one did"),
    ],
)
def test_somebody_makes_the_bfd_ports_and_nobody_else(seen: Cluster, group: str, manage: str, trouble: str) -> None:
    found = report(facts(cluster=seen, asked={"api_group": group, "manage_bfd_ports": manage}))
    assert trouble in said(found).get("kube-ovn.bfd-port Vpc.spec.bfdPort", "")
    assert bool(trouble) == ("kube-ovn.bfd-port Vpc.spec.bfdPort" in said(found))
    follows = report(facts(cluster=seen, asked={"api_group": group})).values
    assert follows is not None
    assert follows.makes_bfd_ports is (seen is CLUSTER)


def test_k7_without_the_field_the_annotation_is_named() -> None:
    found = report(facts(cluster=cluster(CLUSTER, definitions=(vpcs_definition(bfd_port=False), ours()))))
    (port,) = [each for each in found.findings if each.id == "kube-ovn.bfd-port"]
    assert "vpc-egress-gateway.io/bfd-port" in port.follows


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("--enable-lb=false",), "false"),
        (("/bin/sh", "-c", "start.sh --enable-lb=false --other"), "false"),
        (("--enable-lb",), "true"),
        (("--enable-lb-svc=false",), ""),
        ((), ""),
    ],
)
def test_a_flag_of_its_controller(words: tuple[str, ...], value: str) -> None:
    assert kube_ovn.flag(cluster(controller=controller("v1.17.0", *words)), "enable-lb") == value
