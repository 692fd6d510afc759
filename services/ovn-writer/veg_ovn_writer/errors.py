"""The ways in which a command does not come about. Everything else is a bug, and ends the process."""

from collections.abc import Mapping
from typing import Final

from veg_contracts.names import GATEWAY_KEY, OWNER_KEY

_IDS_LENGTH_MAX: Final = 500  # they are somebody else's, and of any length


class CannotApplyError(Exception):
    """Trying the same again is of no use. The message names the object, the field and the reason."""


class PartlyAppliedError(Exception):
    """All but the sessions of these router ports is done, and they can be made when the ports are there."""

    def __init__(self, message: str, ports: frozenset[str]) -> None:
        super().__init__(message)
        self.ports = ports


class NotNowError(Exception):
    """The connection or the lock is not there, or somebody else was faster: the same may succeed a moment later."""


class UnknownMembersError(Exception):
    """A change of a membership that is not known: the whole is needed."""


def taken(table: str, row: str, record: str, ids: Mapping[str, str], owner: str) -> CannotApplyError:
    """That a row which `owner` needs is there and not its own: which one, whose it appears to be, and what to do.

    To take over a row of somebody else is a command that somebody gives, and never a choice of ours: here is that
    command. `record` is what ovn-nbctl finds the row by.
    """
    return CannotApplyError(
        f"{table} {row} already exists and does not belong to {owner}; {describe(ids)}. "
        f"Remove it, or give it to {owner}: "
        f'ovn-nbctl set {table} {record} external_ids:"{OWNER_KEY}"={owner}'
    )


def describe(ids: Mapping[str, str]) -> str:
    """Whose a row that is not ours appears to be, as a sentence."""
    shown = ", ".join(f"{key}={value}" for key, value in sorted(ids.items()))[:_IDS_LENGTH_MAX]
    return f"it appears to belong to {_whose(ids)} (external_ids: {{{shown}}})"


def _whose(ids: Mapping[str, str]) -> str:
    if owner := ids.get(OWNER_KEY):
        return f"{owner}, by our own key"
    if gateway := ids.get(GATEWAY_KEY):
        return f"a gateway {gateway} of somebody else, or to one of ours that lost its key"
    return ids.get("vendor") or "an unknown owner"
