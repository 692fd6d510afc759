"""A real API server takes every rendered object, and warns of none."""

import json

import pytest
from chart.rendering import SETS, objects, text, workloads
from functional.chart.conftest import RESTRICTED, Cluster


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_taken_and_nothing_is_warned_of(cluster: Cluster, name: str) -> None:
    done = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "--filename=-", stdin=text(name))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == len(objects(name))


@pytest.mark.parametrize("name", SETS)
def test_its_pods_are_let_into_a_restricted_namespace(cluster: Cluster, name: str) -> None:
    for workload in workloads(name):
        template = workload["spec"]["template"]
        claims = [
            {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": "claim"}}
            for claim in workload["spec"].get("volumeClaimTemplates", ())
        ]
        volumes = [*template["spec"]["volumes"], *claims]
        spec = {**template["spec"], "volumes": volumes, "priorityClassName": None}
        metadata = {"name": workload["metadata"]["name"], "labels": template["metadata"]["labels"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata | {"namespace": RESTRICTED}, "spec": spec}
        done = cluster.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))
        assert done.returncode == 0, done.stderr


def test_a_pod_that_is_not_restricted_is_refused_there(cluster: Cluster) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bad", "namespace": RESTRICTED},
        "spec": {"containers": [{"name": "bad", "image": "bad:1"}]},
    }
    done = cluster.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))
    assert "violates PodSecurity" in done.stderr
