"""What the rest of the cluster is told of a failed node."""

import os
from typing import Any

from veg_lab.node_agent.nodes import node_condition, pod_condition, read_marks, retaint
from veg_lab.node_failure import UNREACHABLE, mark, marks
from veg_lab.paths import Lab

T1, T2 = "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"
EFFECTS = ("NoSchedule", "NoExecute")
OTHERS: list[dict[str, Any]] = [
    {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": T1},
    {"key": "example.com/own", "value": "x", "effect": "NoExecute"},
]


def ours(now: str) -> list[dict[str, Any]]:
    return [{"key": UNREACHABLE, "effect": effect, "timeAdded": now} for effect in EFFECTS]


def test_the_taints_of_others_stay() -> None:
    assert retaint(OTHERS, EFFECTS, T1) == [*OTHERS, *ours(T1)]
    assert retaint([*ours(T1), *OTHERS], (), T2) == OTHERS
    assert retaint(OTHERS, (), T1) == OTHERS


def test_taints_that_are_there_keep_their_time_and_missing_ones_come() -> None:
    assert retaint([*OTHERS, *ours(T1)], EFFECTS, T2) == [*OTHERS, *ours(T1)]
    assert retaint(ours(T1)[:1], EFFECTS, T2) == [ours(T1)[0], ours(T2)[1]]


def test_a_node_is_unknown_and_its_pods_are_not_ready() -> None:
    assert (node_condition(T1, ready=False)["status"], node_condition(T1, ready=True)["status"]) == ("Unknown", "True")
    assert (pod_condition(T1)["type"], pod_condition(T1)["status"]) == ("Ready", "False")


def test_a_mark_says_when_the_cluster_notices(lab: Lab) -> None:
    assert read_marks(lab) == {}
    marks(lab).mkdir(parents=True)
    mark(lab, "n1").write_text("2.5\n")
    os.utime(mark(lab, "n1"), (100, 100))
    mark(lab, ".n2").write_text("half writ")  # a draft
    assert read_marks(lab) == {"n1": 102.5}
