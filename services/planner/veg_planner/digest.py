"""Digests of what was decided, so that a replay can be compared byte for byte. Pure."""

import hashlib

from veg_contracts.base import encode
from veg_contracts.commands import AnyCommand
from veg_contracts.envelope import type_name
from veg_contracts.intent import Intent


def of_intent(intent: Intent) -> str:
    """The SHA-256 of the canonical bytes."""
    return hashlib.sha256(encode(intent)).hexdigest()


def of_command(identity: str, subject: str, data: AnyCommand) -> str:
    """The SHA-256 of everything about a command that is decided: id, subject, type and data."""
    return hashlib.sha256(encode([identity, subject, type_name(data), data])).hexdigest()
