"""Kubernetes' label selectors. No I/O."""

from collections.abc import Mapping

from veg_lab.mini_kube_ovn.model import Json


def matches(selector: Json | None, labels: Mapping[str, str]) -> bool:
    """Whether the selector takes these labels; none takes all."""
    if not selector:
        return True
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions") or ()
    )


def _holds(expression: Json, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
