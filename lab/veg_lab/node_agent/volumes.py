"""The files behind a pod's volumes, in its directory: empty ones, and copies of Secrets and ConfigMaps."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from veg_lab.node_agent.spec import ObjectKey, SpecError

Json = dict[str, Any]
DEFAULT_MODE = 0o644


def decode(found: Json, kind: str) -> dict[str, str]:
    """The data of a Secret or ConfigMap as text."""
    data: dict[str, str] = found.get("data") or {}
    if kind == "configMap":
        return dict(data)
    return {name: base64.b64decode(value).decode() for name, value in data.items()}


def ensure_volumes(pod: Json, directory: Path, objects: Mapping[ObjectKey, Mapping[str, str]]) -> None:
    """Make the files. Raises SpecError for a Secret or ConfigMap that is missing and not optional."""
    for volume in pod["spec"].get("volumes", []):
        place = directory / "volumes" / volume["name"]
        if "emptyDir" in volume:
            if not place.exists():
                place.mkdir(parents=True)
                place.chmod(0o777)  # as the kubelet makes them: any user of the pod may write
        elif "secret" in volume:
            _fill(place, volume["name"], volume["secret"], objects.get(("secret", volume["secret"]["secretName"])))
        elif "configMap" in volume:
            _fill(place, volume["name"], volume["configMap"], objects.get(("configMap", volume["configMap"]["name"])))


def _fill(place: Path, name: str, source: Json, data: Mapping[str, str] | None) -> None:
    if data is None and not source.get("optional"):
        raise SpecError(f"volume {name}: {source.get('secretName') or source.get('name')} does not exist")
    place.mkdir(parents=True, exist_ok=True)
    present = data or {}
    items = source.get("items") or [{"key": key, "path": key} for key in present]
    for item in items:
        if item["key"] not in present:
            if source.get("optional"):
                continue
            raise SpecError(f"volume {name}: no key {item['key']}")
        file = place / item["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(present[item["key"]])
        file.chmod(item.get("mode", source.get("defaultMode", DEFAULT_MODE)))
