"""What a refusal of the API server means for a command.

Commands are carried out one by one, so a wait for something that concerns one object holds up all gateways.
"""

from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

# The server is too busy, not there yet, or does not take our token (now): nothing would succeed, so nothing is held up.
_SERVER_AWAY: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
# About ten seconds of the bus's delay for a redelivery: longer than a change of leader in etcd.
_TRIES_MAX: Final = 20


class Verdict(Enum):
    AGAIN = auto()
    FAILED = auto()


@dataclass(frozen=True)
class Refusal:
    """An answer that is not a success. `code` is that of HTTP; `message` is the API server's own."""

    code: int
    message: str


def judge(refusal: Refusal, tries: int) -> Verdict:
    """Whether to try again, after `tries` tries of this command.

    - A server that is away is waited for without end.
    - A conflict, or an error inside the server, is gone after a few tries; one that stays (a webhook that is down
      answers 500) concerns this object only.
    - All else fails at once, 403 too: an administrator may grant the right, or the quota, later, but until then the
      others must go on. The planner sends what failed again after a while. (An API server that only just starts
      forbids everything; that is found out by asking whether it is ready.)
    """
    if refusal.code in _SERVER_AWAY:
        return Verdict.AGAIN
    passing = refusal.code == HTTPStatus.CONFLICT or refusal.code >= HTTPStatus.INTERNAL_SERVER_ERROR
    return Verdict.AGAIN if passing and tries < _TRIES_MAX else Verdict.FAILED
