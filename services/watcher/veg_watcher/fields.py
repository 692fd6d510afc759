"""Reading JSON that may be anything: each function takes what is of the wanted type, and drops what is not."""

from typing import Any

Json = dict[str, Any]

# What fits the planner's database. The API server itself knows no larger integers.
_INT64_MAX = 2**63 - 1


def at(value: Any, *path: str) -> Any:
    """The value at the end of the path; None where the path does not lead on."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def integer(value: Any) -> int:
    """JSON's true is no number, though Python's is; and what does not fit 64 bits is no number of Kubernetes'."""
    return value if type(value) is int and abs(value) <= _INT64_MAX else 0


def mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def items(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else ()


def texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in items(value) if isinstance(item, str) and item)


def text_map(value: Any) -> dict[str, str]:
    return {name: item for name, item in mapping(value).items() if isinstance(name, str) and isinstance(item, str)}
