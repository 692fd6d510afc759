"""What our services may do in Kubernetes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from support.preflight import BESIDE, cluster, facts, said

from veg_contracts.names import KUBE_OVN_GROUP, OWN_GROUP
from vegctl.preflight import rights
from vegctl.preflight.derive import report
from vegctl.preflight.facts import Answer, Right
from vegctl.preflight.findings import Verdict

RBAC = Path(__file__).parents[4] / "charts" / "vpc-egress-gateway" / "files" / "rbac"


def granted(rule: dict[str, Any]) -> Iterator[Right]:
    """The rights of one rule of a ClusterRole."""
    for verb in rule["verbs"]:
        for path in rule.get("nonResourceURLs", ()):
            yield Right(verb=verb, resource=path)
        for group in rule.get("apiGroups", ()):
            for resource in rule["resources"]:
                yield Right(verb=verb, resource=resource, group=group)


@pytest.mark.parametrize("group", [KUBE_OVN_GROUP, OWN_GROUP])
def test_what_is_needed_is_what_the_chart_grants(group: str) -> None:
    documents = yaml.safe_load_all((RBAC / f"{group}.yaml").read_text())
    roles = {each["metadata"]["name"]: each["rules"] for each in documents if each["kind"] == "ClusterRole"}
    assert len(roles) > 1
    for name, rules in roles.items():
        needed = rights.needed(group)[name.removeprefix("veg-")]
        assert sorted(needed) == sorted(right for rule in rules for right in granted(rule)), name


def answers(denied: slice) -> tuple[Answer, ...]:
    """Of the watcher these are denied, of the others none."""
    watcher = [each for each in BESIDE.rights if each.role == "watcher"]
    lost = watcher[denied]
    return tuple(msgspec.structs.replace(each, allowed=each not in lost) for each in BESIDE.rights)


def test_a_service_with_a_part_of_its_rights_does_not_work() -> None:
    found = report(facts(cluster=cluster(rights=answers(slice(1)))))
    text = said(found)["rights.watcher system:serviceaccount:kube-system:veg-watcher"]
    assert "may not list vpc-egress-gateways.vpc-egress-gateway.io" in text
    assert found.verdict is Verdict.DOES_NOT_WORK


def test_before_the_installation_nobody_has_any() -> None:
    found = report(facts(cluster=cluster(rights=answers(slice(None)))))
    assert "has none of the rights" in said(found)["rights.watcher system:serviceaccount:kube-system:veg-watcher"]
    assert found.verdict is Verdict.WORKS_WITH_LIMITS


def test_where_it_may_not_be_asked_that_is_said() -> None:
    found = report(facts(cluster=cluster(rights=(), unread={"rights": "403"})))
    assert list(said(found)) == ["unread.rights SubjectAccessReviews"]
