"""Which Kube-OVN the lab's stand-in behaves as, the resources that this one has, and the API group of our gateways.

A lab keeps the behaviour and the group that it came up with: they are written down, so that later commands need not be
told.
"""

import json
import os
from pathlib import Path
from typing import Any

import yaml

from veg_lab.errors import LabError
from veg_lab.mini_kube_ovn.behaviours import VARIABLE, Behaviour, named
from veg_lab.paths import REPOSITORY, Lab

_CRDS = REPOSITORY / "lab" / "crds"
_GATEWAYS = _CRDS / "own-gateways" / "kube-ovn.yaml"
_OURS = REPOSITORY / "crds"
API_GROUP = "VEG_API_GROUP"
_GROUP = "kubeovn.io"
_VPCS = "vpcs.kubeovn.io"

Json = dict[str, Any]


def behaviour(lab: Lab) -> Behaviour:
    """What the environment names, or what the lab came up with.

    Raises:
        LabError: there is no such behaviour, or the lab came up with another one.
    """
    asked, kept = os.environ.get(VARIABLE, ""), _record(lab)
    if not kept.exists():
        return named(asked)
    found = named(kept.read_text())
    if asked and named(asked) != found:
        raise LabError(f"{VARIABLE}={asked}: the lab {lab.name!r} runs as {found.name}; take it down first")
    return found


def keep(lab: Lab) -> None:
    """Write down what the lab comes up with."""
    name, group = behaviour(lab).name, api_group(lab)
    _record(lab).parent.mkdir(parents=True, exist_ok=True)
    _record(lab).write_text(name)
    _group_record(lab).write_text(group)


def api_group(lab: Lab) -> str:
    """The API group of our gateways: what the environment names, or what the lab came up with.

    Raises:
        LabError: there is no CRD of ours for that group, or the lab came up with another one.
    """
    asked, kept = os.environ.get(API_GROUP, ""), _group_record(lab)
    found = kept.read_text() if kept.exists() else asked or _GROUP
    if asked and asked != found:
        raise LabError(f"{API_GROUP}={asked}: the lab {lab.name!r} runs with {found}; take it down first")
    known = sorted(path.name for path in _OURS.iterdir() if path.is_dir())
    if found not in known:
        raise LabError(f"{API_GROUP}={found}: {' or '.join(known)} is allowed")
    return found


def definitions(lab: Lab) -> list[Path]:
    """The files with all definitions of resources: Multus', Kube-OVN's as its version has them, and ours.

    Where Kube-OVN has egress gateways of its own, their resource is the one in its API group: ours of that group stays
    away.
    """
    found = behaviour(lab)
    documents = list(yaml.safe_load_all((_CRDS / "kube-ovn.yaml").read_text()))
    if found.own_gateways:
        documents += yaml.safe_load_all(_GATEWAYS.read_text())
    items = [document if found.bfd_port_field else without_bfd_port(document) for document in documents]
    file = lab.run / "kube-ovn-crds.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    group = api_group(lab)
    ours = [] if found.own_gateways and group == _GROUP else [_OURS / group]
    return [_CRDS / "multus.yaml", file, *ours]


def controller(lab: Lab) -> list[Path]:
    """A file with what a cluster shows of its Kube-OVN: the controller's Deployment. No pod is ever made of it."""
    release = behaviour(lab).release
    if not release:
        return []
    labels = {"app": "kube-ovn-controller"}
    container = {
        "name": "kube-ovn-controller",
        "image": f"docker.io/kubeovn/kube-ovn:{release}",
        "args": ["/kube-ovn/start-controller.sh", "--cluster-router=ovn-cluster", "--enable-lb=true"],
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "kube-ovn-controller", "namespace": "kube-system"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    file = lab.run / "kube-ovn-controller.json"
    file.write_text(json.dumps(deployment))
    return [file]


def without_bfd_port(document: Json) -> Json:
    """The definition of Vpc without a BFD port; any other one as it is."""
    if document["metadata"]["name"] != _VPCS:
        return document
    [version] = document["spec"]["versions"]
    for part in ("spec", "status"):
        version["schema"]["openAPIV3Schema"]["properties"][part]["properties"].pop("bfdPort")
    return document


def _record(lab: Lab) -> Path:
    return lab.run / "kube-ovn"


def _group_record(lab: Lab) -> Path:
    return lab.run / "api-group"
