"""Label selectors: one matching function for events, plans and reports. None and the empty selector match all.

Source: Kubernetes, "Labels and Selectors" (a requirement NotIn also matches an object without the key).
"""

from typing import Any

from veg_planner.spec import PodSelector, Requirement, Selector


def matches(selector: Selector | None, labels: dict[str, str]) -> bool:
    """Whether an object with these labels is selected."""
    if selector is None:
        return True
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _fulfils(requirement, labels) for requirement in selector.match_expressions
    )


def selects(selectors: tuple[PodSelector, ...], namespace: dict[str, str] | None, pod: dict[str, str]) -> bool:
    """Whether one of the selectors matches a pod with these labels in a namespace with those.

    None are the labels of a namespace that is not known yet: only a selector that takes all namespaces matches then.
    """
    return any(_selects(item, namespace, pod) for item in selectors)


def _selects(item: PodSelector, namespace: dict[str, str] | None, pod: dict[str, str]) -> bool:
    if namespace is None and not _takes_all(item.namespace_selector):
        return False
    return matches(item.namespace_selector, namespace or {}) and matches(item.pod_selector, pod)


def _takes_all(selector: Selector | None) -> bool:
    return selector is None or selector == Selector()


def _fulfils(requirement: Requirement, labels: dict[str, str]) -> bool:
    value: Any = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False  # refused when the spec was read
