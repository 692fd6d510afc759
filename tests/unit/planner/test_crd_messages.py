"""The CRD's rules and the planner's say the same: whichever of them a user meets first."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.simulation import Simulation, created

CRD = Path(__file__).parents[3] / "crds" / "kubeovn.io_vpc-egress-gateways.yaml"


def rules(schema: Any) -> list[str]:
    """The messages of all CEL rules in a schema."""
    found: list[str] = []
    if isinstance(schema, dict):
        found += [rule["message"] for rule in schema.get("x-kubernetes-validations", [])]
        for value in schema.values():
            found += rules(value)
    elif isinstance(schema, list):
        for value in schema:
            found += rules(value)
    return found


BROKEN: dict[str, dict[str, Any]] = {
    "each VPC Egress Gateway must have at least one policy or selector": {"policies": []},
    "each policy must have at least one of ipBlocks or subnets": {"policies": [{}]},
    "spec.internalIPs and spec.internalIPPool are mutually exclusive": {
        "internalIPs": ["10.16.0.9"],
        "internalIPPool": "pool",
    },
    "spec.externalIPs and spec.externalIPPool are mutually exclusive": {
        "externalIPs": ["172.17.0.9"],
        "externalIPPool": "pool",
    },
    "at least spec.replicas addresses are needed": {"externalIPs": ["172.17.0.9"], "replicas": 2},
    "This field is immutable.": {"prefix": "veg-"},
}


def test_every_rule_of_the_crd_is_broken_here() -> None:
    assert set(rules(yaml.safe_load(CRD.read_text()))) == set(BROKEN)


@pytest.mark.parametrize("message", sorted(BROKEN))
def test_the_planner_says_what_the_crd_says(message: str) -> None:
    simulation: Simulation = created()
    simulation.create(generation=2, **BROKEN[message])
    # The rule's messageExpression puts the number in where the plain message cannot.
    said = simulation.message("Validated").replace("spec.replicas = 2", "spec.replicas")
    assert message in said
