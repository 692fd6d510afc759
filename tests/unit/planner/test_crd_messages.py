"""The CRD's rules and the planner's say the same: whichever of them a user meets first."""

from typing import Any

import pytest
from support.crd import schema
from support.simulation import Simulation, created


def rules(part: Any) -> list[str]:
    """The messages of all CEL rules in a schema."""
    found: list[str] = []
    if isinstance(part, dict):
        found += [rule["message"] for rule in part.get("x-kubernetes-validations", [])]
        for value in part.values():
            found += rules(value)
    elif isinstance(part, list):
        for value in part:
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
    assert set(rules(schema())) == set(BROKEN)


@pytest.mark.parametrize("message", sorted(BROKEN))
def test_the_planner_says_what_the_crd_says(message: str) -> None:
    simulation: Simulation = created()
    simulation.create(generation=2, **BROKEN[message])
    # The rule's messageExpression puts the number in where the plain message cannot.
    said = simulation.message("Validated").replace("spec.replicas = 2", "spec.replicas")
    assert message in said
