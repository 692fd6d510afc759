"""Where two JSON documents part. Pure."""

import json
from typing import Any, Final, NamedTuple

_SHOWN_MAX: Final = 300
_NOTHING: Final = "nothing"


class Parting(NamedTuple):
    """The first path at which two documents differ, and what each has there, as JSON or "nothing"."""

    path: str
    stored: str
    replayed: str


def first_parting(stored: str, replayed: str) -> Parting | None:
    """Compare two JSON texts, an empty one being no document; None when they say the same."""
    return _first("$", *(json.loads(text) if text else _Absent for text in (stored, replayed)))


class _Absent:
    """Stands where a document has nothing: null is a value."""


def _first(path: str, stored: Any, replayed: Any) -> Parting | None:
    pairs: list[tuple[str, Any, Any]] = []
    if isinstance(stored, dict) and isinstance(replayed, dict):
        keys = sorted(stored.keys() | replayed.keys())
        pairs = [(f"{path}.{key}", stored.get(key, _Absent), replayed.get(key, _Absent)) for key in keys]
    elif isinstance(stored, list) and isinstance(replayed, list):
        numbers = range(max(len(stored), len(replayed)))
        pairs = [(f"{path}[{number}]", _item(stored, number), _item(replayed, number)) for number in numbers]
    elif type(stored) is not type(replayed) or stored != replayed:
        return Parting(path, _shown(stored), _shown(replayed))
    return next((parting for pair in pairs if (parting := _first(*pair))), None)


def _item(items: list[Any], number: int) -> Any:
    return items[number] if number < len(items) else _Absent


def _shown(value: Any) -> str:
    text = _NOTHING if value is _Absent else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."
