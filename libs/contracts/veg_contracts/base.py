"""The two base structs all values on the wire derive from, and the one canonical encoding."""

from typing import Any

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An immutable value in our own wire format: snake_case JSON, defaults left out."""


class KubernetesValue(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An immutable value in the format of the Kubernetes API: camelCase JSON, nothing left out."""


_ENCODER = msgspec.json.Encoder(order="sorted")


def encode(value: Any) -> bytes:
    """Encode canonically: equal values give equal bytes, whatever order their dicts were filled in."""
    return _ENCODER.encode(value)
