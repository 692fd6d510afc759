"""The report as text and as JSON."""

import json

import yaml
from support.preflight import CUSTOM, ROOT, cluster, facts

from vegctl.preflight import render
from vegctl.preflight.derive import report
from vegctl.preflight.facts import Unreached
from vegctl.preflight.values import NAMES

FOUND = report(facts(cluster=cluster(vpcs=CUSTOM), asked={"vpcs": ("vpc1",)}))


def test_the_worst_comes_first_and_the_verdict_last() -> None:
    lines = render.as_text(FOUND).splitlines()
    assert lines[0].startswith("blocker   Vpc vpc1: gateway pods have no management network")
    assert lines[-1] == "does not work: 1 blocker (exit code 2)"
    assert max(map(len, lines)) <= 120


def test_the_fragment_is_yaml_in_which_on_is_a_text() -> None:
    text = render.as_text(FOUND)
    fragment = text.partition("# values.yaml of the chart\n")[2].partition("\n\n")[0]
    assert yaml.safe_load(fragment) == {
        "apiGroup": "vpc-egress-gateway.io",
        "planner": {
            "defaultVpc": "ovn-cluster",
            "customVpcRouting": "auto",
            "manageBfdPorts": "auto",
            "bfdRelay": "on",
        },
        "managementNetwork": {"existing": ""},
    }
    assert "VEG_BFD_RELAY=on\n" in text


def test_json_says_the_same() -> None:
    found = json.loads(render.as_json(FOUND))
    assert (found["verdict"], found["exit_code"]) == ("does not work", 2)
    assert found["settings"]["VEG_API_GROUP"] == "vpc-egress-gateway.io"
    first = found["findings"][0]
    assert set(first) == {"id", "severity", "object", "found", "follows"}
    assert (first["id"], first["severity"], first["object"]) == ("vpc.bus", "blocker", "Vpc vpc1")
    assert len(found["findings"]) == len(FOUND.findings)


def test_where_nothing_is_known_no_settings_are_made_up() -> None:
    found = report(facts(cluster=Unreached(where="https://x", reason="refused")))
    assert "VEG_API_GROUP" not in render.as_text(found)
    assert json.loads(render.as_json(found))["values"] == {}


def test_the_chart_has_every_value_that_is_printed() -> None:
    values = yaml.safe_load((ROOT / "charts" / "vpc-egress-gateway" / "values.yaml").read_text())
    for _, path in NAMES.values():
        found = values
        for name in path.split("."):
            assert name in found, path
            found = found[name]
