"""When a controller looks at an object: at its start, and when the object was edited. Pure.

What is done only then must not be done at every pass: nobody could live beside a controller that deletes his rows
every ten seconds, and Kube-OVN does not.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from veg_lab.mini_kube_ovn.model import Json
from veg_lab.mini_kube_ovn.snapshot import Snapshot

Fingerprints = Mapping[tuple[str, str], str]
"""(kind, name) -> all of an object that makes Kube-OVN look at it."""


@dataclass(frozen=True)
class Occasion:
    """What this pass looks at, beside what every pass does."""

    vpcs: frozenset[str] = frozenset()
    subnets: frozenset[str] = frozenset()
    start: bool = False


def fingerprints(snapshot: Snapshot) -> Fingerprints:
    """Of Vpcs and Subnets. The counts of addresses in a status are no edit; a new subnet of a Vpc is one."""
    found: dict[tuple[str, str], str] = {}
    for vpc in snapshot.objects["Vpc"]:
        name = vpc["metadata"]["name"]
        subnets = sorted(each.name for each in snapshot.cluster.subnets.values() if each.in_ovn and each.vpc == name)
        found["Vpc", name] = json.dumps([_edited(vpc), vpc["metadata"].get("labels"), subnets], sort_keys=True)
    for subnet in snapshot.objects["Subnet"]:
        found["Subnet", subnet["metadata"]["name"]] = json.dumps(_edited(subnet), sort_keys=True)
    return found


def _edited(obj: Json) -> list[object]:
    return [obj["metadata"]["uid"], obj["metadata"].get("annotations"), obj.get("spec")]


def occasion(before: Fingerprints | None, now: Fingerprints) -> Occasion:
    """What was edited between two passes; before the first one, nothing is known, and all of it is looked at."""
    edited = {key for key, text in now.items() if before is None or before.get(key) != text}
    return Occasion(
        vpcs=frozenset(name for kind, name in edited if kind == "Vpc"),
        subnets=frozenset(name for kind, name in edited if kind == "Subnet"),
        start=before is None,
    )
