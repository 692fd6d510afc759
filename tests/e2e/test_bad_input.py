"""Bad input is named, by object, field and reason; and a steady gateway beside it is not disturbed."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.clients import CLIENT_IMAGE
from support.lab import Lab, LabCommandError, conditions, eventually, gateway_manifest
from support.traffic import unbroken_ping

from veg_contracts import subjects
from veg_contracts.permissions import TOKEN_AUDIENCE

GARBAGE = Path(__file__).parents[1] / "support" / "publish_garbage.py"


@pytest.fixture(scope="module", autouse=True)
def steady(lab: Lab, client: str) -> Iterator[str]:
    """A ready gateway, through which a ping runs during all tests of this module and loses nothing."""
    address = lab.get("pod", client)["status"]["podIP"]
    lab.apply(gateway_manifest("steady", policies=[{"snat": True, "ipBlocks": [address]}]))
    lab.ready("steady", 1)
    before = lab.gateway("steady")["status"]
    with unbroken_ping(lab, f"default/{client}", at_least=300):
        yield "steady"
    assert lab.gateway("steady")["status"] == before
    lab.kubectl("delete", "veg", "steady", "--timeout=60s")


@pytest.fixture
def bad(lab: Lab) -> Iterator[str]:
    yield "bad"
    lab.kubectl("delete", "veg", "bad", "--ignore-not-found", "--timeout=60s")


def said(lab: Lab, name: str, kind: str = "Ready") -> str:
    return conditions(lab.gateway(name)).get(kind, "")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"replicas": 11}, "spec.replicas"),
        ({"replicas": "two"}, "spec.replicas"),
        ({"trafficPolicy": "Near"}, "spec.trafficPolicy"),
        ({"policies": [{"ipBlocks": ["10.1.2.3/33"]}]}, r"spec\.policies\[0\]\.ipBlocks\[0\]"),
        ({"externalSubnet": None}, "spec.externalSubnet"),
        ({"policies": []}, "each VPC Egress Gateway must have at least one policy or selector"),
        ({"replicas": 2, "externalIPs": ["172.17.0.99"]}, r"spec\.externalIPs: Invalid value: .*replicas"),
    ],
)
def test_the_schema_refuses_and_names_the_field(lab: Lab, spec: dict[str, Any], field: str) -> None:
    manifest = gateway_manifest("bad", **spec)
    with pytest.raises(LabCommandError, match=field):
        lab.kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps(manifest))


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"vpc": "nowhere"}, 'spec.vpc: Vpc "nowhere" does not exist'),
        ({"externalSubnet": "nowhere"}, 'spec.externalSubnet: Subnet "nowhere" does not exist'),
        ({"internalSubnet": "nowhere"}, 'spec.internalSubnet: Subnet "nowhere" does not exist'),
        ({"policies": [{"subnets": ["nowhere"]}]}, 'spec.policies[0].subnets: Subnet "nowhere" does not exist'),
    ],
)
def test_the_condition_names_field_and_reason(lab: Lab, bad: str, spec: dict[str, Any], text: str) -> None:
    lab.apply(gateway_manifest(bad, **spec))
    eventually(lambda: text in said(lab, bad), 20, "the condition says why")
    assert not lab.gateway(bad)["status"]["ready"]
    assert lab.owned_rows(f"default/{bad}") == ""


def test_a_missing_attachment_is_named_and_awaited(lab: Lab, bad: str) -> None:
    subnet = {
        "apiVersion": "kubeovn.io/v1",
        "kind": "Subnet",
        "metadata": {"name": "lonely"},
        "spec": {
            "protocol": "IPv4",
            "provider": "absent.default",
            "cidrBlock": "172.29.0.0/16",
            "gateway": "172.29.0.1",
        },
    }
    lab.apply(subnet, gateway_manifest(bad, externalSubnet="lonely"))
    text = 'NetworkAttachmentDefinition "default/absent" (provider of Subnet "lonely") does not exist'
    eventually(lambda: text in said(lab, bad), 20, "the condition says what is missing")
    lab.kubectl("delete", "subnet", "lonely")


def test_a_deployment_of_somebody_else_is_not_overwritten(lab: Lab, bad: str) -> None:
    labels = {"app": "theirs"}
    container = {"name": "theirs", "image": CLIENT_IMAGE, "command": ["sleep", "infinity"]}
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": bad, "namespace": "default"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    lab.apply(theirs, gateway_manifest(bad, policies=[{"ipBlocks": ["10.95.0.0/24"]}]))
    text = f"Deployment default/{bad} exists and is not owned by VpcEgressGateway default/{bad}"
    eventually(lambda: text in said(lab, bad), 20, "the condition says whose name it is")
    assert lab.get("deployment", bad)["spec"]["selector"]["matchLabels"] == labels
    lab.kubectl("delete", "deployment", bad)
    lab.ready(bad, 1)


def test_deleted_while_half_built(lab: Lab, bad: str) -> None:
    for _ in range(3):
        lab.apply(gateway_manifest(bad, policies=[{"ipBlocks": ["10.95.0.0/24"]}]))
        lab.kubectl("delete", "veg", bad, "--timeout=60s")
        assert not lab.exists("deployment", bad)
        assert lab.owned_rows(f"default/{bad}") == ""


def test_an_object_over_the_size_limit_is_named_and_stops_nobody(lab: Lab, bad: str) -> None:
    blocks = [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(70_000)]
    policies = [{"ipBlocks": blocks[start : start + 1000]} for start in range(0, len(blocks), 1000)]
    manifest = gateway_manifest(bad, policies=policies)
    lab.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
    eventually(lambda: "default/bad" in watcher_log(lab, "bytes"), 30, "the watcher names it")
    lab.kubectl("delete", "veg", bad, "--timeout=60s")


def watcher_log(lab: Lab, word: str) -> str:
    text = lab.call("logs", "watcher")
    return "\n".join(line for line in text.splitlines() if word in line)


def test_garbage_on_every_subject(lab: Lab, steady: str, tmp_path: Path) -> None:
    secrets, token = lab.run_directory / "secrets", tmp_path / "token"
    name, uid = (lab.gateway_pods(steady)[0]["metadata"][key] for key in ("name", "uid"))
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={name}", f"--bound-object-uid={uid}")
    token.write_text(lab.kubectl("create", "token", "default", f"--audience={TOKEN_AUDIENCE}", *bound))
    own = subjects.agent_event(f"default/{steady}", name)
    words = [str(GARBAGE), str(secrets), str(token), uid, own]
    published = lab.call("run", "--", sys.executable, *words).split()
    events = {subject for subject in published if subject.startswith("veg.evt.")}

    def rejected() -> bool:
        rows = lab.sql("SELECT DISTINCT subject FROM rejected WHERE reason <> ''")
        return events <= {row["subject"] for row in rows}

    eventually(rejected, 30, "the planner has recorded what it could not read, and why")
    for service, subject in (("ovn-writer", "veg.cmd.ovn."), ("kube-writer", "veg.cmd.kube.")):
        eventually(lambda: subject in lab.call("logs", service), 20, f"{service} has logged it")  # noqa: B023
    # All go on: a change still comes through everything.
    (pod,) = lab.gateway_pods(steady)
    lab.kubectl("annotate", "veg", steady, "nonsense=1", "--overwrite")
    lab.apply(gateway_manifest("after", policies=[{"ipBlocks": ["10.94.0.0/24"]}]))
    lab.ready("after", 1)
    lab.kubectl("delete", "veg", "after", "--timeout=60s")
    assert lab.gateway_pods(steady)[0]["metadata"]["uid"] == pod["metadata"]["uid"]
