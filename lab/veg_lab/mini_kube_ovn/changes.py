"""Writes to the API server, as values."""

from dataclasses import dataclass

from veg_lab.mini_kube_ovn.model import Json


@dataclass(frozen=True)
class Create:
    kind: str
    body: Json
    namespace: str = ""


@dataclass(frozen=True)
class Replace:
    """The whole object, whatever it was."""

    kind: str
    namespace: str
    name: str
    body: Json


@dataclass(frozen=True)
class Patch:
    """A JSON merge patch. A body with metadata.uid touches no later object of the same name."""

    kind: str
    namespace: str
    name: str
    body: Json
    status: bool = False


Change = Create | Replace | Patch
