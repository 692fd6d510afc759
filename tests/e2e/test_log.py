"""The log tells the story: one apply, what followed, with causes and times; and it can be folded again."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.lab import Lab, eventually, gateway_manifest
from support.log import assert_log_is_whole

NAME = "told"


@pytest.fixture(scope="module", autouse=True)
def told(lab: Lab) -> Iterator[None]:
    lab.apply(gateway_manifest(NAME, policies=[{"snat": True, "ipBlocks": ["10.93.0.0/24"]}]))
    lab.ready(NAME, 1)
    eventually(lambda: not unanswered(lab), 20, "all that was ordered is done")
    yield
    lab.kubectl("delete", "veg", NAME, "--timeout=60s", "--ignore-not-found")


def story(lab: Lab, what: str) -> list[dict[str, Any]]:
    return lab.sql(
        "SELECT * FROM story WHERE gateway = %(gateway)s AND what = %(what)s ORDER BY position",
        gateway=f"default/{NAME}",
        what=what,
    )


def commands_with_outcome(lab: Lab) -> list[dict[str, Any]]:
    return [row for row in story(lab, "command") if "publish-config" not in row["type"]]


def unanswered(lab: Lab) -> set[str]:
    """Commands without an outcome: what the status says is known sooner than that it is written."""
    return {row["id"] for row in commands_with_outcome(lab)} - {row["causation_id"] for row in story(lab, "outcome")}


def test_every_command_has_a_cause_and_an_outcome(lab: Lab) -> None:
    events = {row["id"] for row in lab.sql("SELECT id FROM event")}
    commands = commands_with_outcome(lab)
    assert {row["type"] for row in commands} >= {
        "veg.ovn.ensure-nb.v1",
        "veg.kube.ensure-workload.v1",
        "veg.kube.ensure-finalizer.v1",
        "veg.kube.ensure-status.v1",
    }
    for row in commands:
        assert row["causation_id"] in events, row["id"]
    assert unanswered(lab) == set()


def test_the_documented_query_tells_the_story_with_times(lab: Lab) -> None:
    text = lab.call("psql", "-v", f"gateway=default/{NAME}", "-f", "docs/sql/story.sql")
    for word in ("| event ", "| intent ", "| command ", "| outcome ", "ovn.ensure-nb", "ovn.rows-programmed"):
        assert word in text, word
    header, _, *rows = text.partition("From the event to the commit")[2].splitlines()[1:]
    columns = [column.strip() for column in header.split("|")]
    first = dict(zip(columns, (value.strip() for value in rows[0].split("|")), strict=True))
    commit, flows = float(first["nb_commit_after_apply_ms"]), float(first["hv_cfg_after_apply_ms"])
    assert 0 < commit <= flows < 30_000


def test_vegctl_tells_it_too(lab: Lab) -> None:
    assert f"default/{NAME}" in lab.call("vegctl", "get")
    log = lab.call("vegctl", "log", f"default/{NAME}")
    assert "VpcEgressGateway" in log
    assert "cmd/nb/" in log


def test_the_log_is_whole_and_folds_again_to_the_same_bytes(lab: Lab) -> None:
    assert_log_is_whole(lab)
