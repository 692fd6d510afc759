"""A row of ours that somebody edits or deletes by hand is noticed, recorded with before and after, and repaired."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.lab import Lab, eventually, gateway_manifest

NAME = "drifting"
SOURCE = "10.97.0.0/24"
MATCH = f"ip4.src == {SOURCE}"


@pytest.fixture(scope="module")
def nexthops(lab: Lab) -> Iterator[list[str]]:
    lab.apply(gateway_manifest(NAME, policies=[{"snat": True, "ipBlocks": [SOURCE]}]))
    yield lab.ready(NAME, 1)["status"]["internalIPs"]
    lab.kubectl("delete", "veg", NAME, "--timeout=60s")


def drift_since(lab: Lab, position: int) -> list[dict[str, Any]]:
    return lab.sql(
        """
        SELECT data->'before' AS before, data->'after' AS after FROM event
        WHERE type = 'veg.ovn.rows-observed.v1' AND data->>'reason' = 'drift'
          AND data->>'gateway' = %(gateway)s AND position > %(position)s ORDER BY position
        """,
        gateway=f"default/{NAME}",
        position=position,
    )


def head(lab: Lab) -> int:
    return int(lab.sql("SELECT max(position) AS head FROM event")[0]["head"])


def uuid_of(lab: Lab) -> str:
    return lab.owned_rows(f"default/{NAME}")


def edit(lab: Lab) -> None:
    lab.nbctl("set", "Logical_Router_Policy", uuid_of(lab), "nexthops=10.16.0.250")


def delete(lab: Lab) -> None:
    lab.nbctl("lr-policy-del", "ovn-cluster", uuid_of(lab))


def disown(lab: Lab) -> None:
    lab.nbctl("remove", "Logical_Router_Policy", uuid_of(lab), "external_ids", "vpc-egress-gateway.io/owner")


@pytest.mark.parametrize("interfere", [edit, delete])
def test_drift_is_recorded_and_repaired(lab: Lab, nexthops: list[str], interfere: Any) -> None:
    before = head(lab)
    interfere(lab)

    eventually(lambda: drift_since(lab, before), 10, "the drift is in the log")
    eventually(lambda: lab.policies(29100).get(MATCH) == nexthops, 10, "the row is repaired")
    (event, *_) = drift_since(lab, before)
    (wanted,) = event["before"]
    assert [policy["match"] for policy in wanted["policies"]] == [MATCH]
    assert event["after"] != event["before"]
    time.sleep(1)  # it stays so: the repair is no drift
    assert lab.policies(29100)[MATCH] == nexthops
    assert len(drift_since(lab, before)) == 1


def test_a_row_that_lost_its_owner_is_written_again_beside_it(lab: Lab, nexthops: list[str]) -> None:
    foreign = uuid_of(lab)
    disown(lab)

    owned = eventually(lambda: uuid_of(lab), 10, "a row of ours is there again")
    assert owned != foreign
    assert lab.policies(29100)[MATCH] == nexthops
    lab.nbctl("lr-policy-del", "ovn-cluster", foreign)


def test_foreign_rows_are_left_alone(lab: Lab, nexthops: list[str]) -> None:
    lab.nbctl("lr-policy-add", "ovn-cluster", "29100", "ip4.src == 10.96.0.0/24", "drop")
    delete(lab)
    eventually(lambda: lab.policies(29100).get(MATCH) == nexthops, 10, "our row is repaired")
    assert "10.96.0.0/24" in lab.nbctl("lr-policy-list", "ovn-cluster")
    lab.nbctl("lr-policy-del", "ovn-cluster", "29100", "ip4.src == 10.96.0.0/24")


def test_a_deployment_edited_by_hand_is_applied_again(lab: Lab, nexthops: list[str]) -> None:  # noqa: ARG001  # ready
    lab.kubectl("scale", "deployment", NAME, "--replicas=3")
    eventually(lambda: lab.get("deployment", NAME)["spec"]["replicas"] == 1, 20, "the replicas are ours again")
    lab.ready(NAME, 1)
