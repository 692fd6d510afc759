"""The agent's state as values, and what changes it: which config is held, and what was reported of it. Pure.

- A config of another gateway or of an older generation is never taken.
- Every report has an id of its own that is the same when it is made again after a restart, unless what it says has
  been contradicted by a report in between: the log drops a second event with the same id for ever.
"""

from typing import Final

from veg_contracts.base import Value
from veg_contracts.intent import PodConfig

_DELAY_MAX_S: Final = 30.0
_APPLIED: Final = "applied"


class Held(Value, frozen=True, kw_only=True):
    """A config and the message it came by: what an outcome names as its cause."""

    config: PodConfig
    causation_id: str = ""
    correlation_id: str = ""
    traceparent: str = ""


class Verdict(Value, frozen=True, kw_only=True):
    """Whether to take an offered config; if not, `reason` says why, and is empty when it is the held one."""

    take: bool
    reason: str = ""


def judge(held: Held | None, offered: PodConfig, gateway: str, gateway_uid: str) -> Verdict:
    """Decide on an offered config."""
    if offered.gateway != gateway:
        return Verdict(take=False, reason=f"gateway: {offered.gateway!r}, this pod belongs to {gateway!r}")
    if offered.gateway_uid != gateway_uid:
        return Verdict(take=False, reason=f"gateway_uid: {offered.gateway_uid!r}, this pod belongs to {gateway_uid!r}")
    if held is None:
        return Verdict(take=True)
    if offered == held.config:
        return Verdict(take=False)
    if offered.generation < held.config.generation:
        return Verdict(take=False, reason=f"generation: {offered.generation} is older than {held.config.generation}")
    return Verdict(take=True)


class Progress(Value, frozen=True, kw_only=True):
    """What was applied and reported. `applied` is a generation, 0 for none: it is what readiness looks at.

    `failures` counts the reports of failure of `generation`; `said` is the last report of it: "applied" or a message.
    """

    applied: int = 0
    generation: int = 0
    failures: int = 0
    said: str = ""

    def restarted(self) -> "Progress":
        """After a start, or when the config is another one of the same generation: everything is said again."""
        return Progress(applied=self.applied, generation=self.generation, failures=self.failures)

    def succeeded(self, generation: int) -> "Progress":
        failures = self.failures if generation == self.generation else 0
        return Progress(applied=generation, generation=generation, failures=failures, said=_APPLIED)

    def failed(self, generation: int, message: str) -> "Progress":
        """The same message again is no news, and not counted."""
        if generation != self.generation:
            return Progress(applied=self.applied, generation=generation, failures=1, said=message)
        failures = self.failures + (message != self.said)
        return Progress(applied=self.applied, generation=generation, failures=failures, said=message)

    @property
    def report_id(self) -> str:
        """The tail of the id of the report that `said` is."""
        if self.said != _APPLIED:
            return f"{self.generation}/failed/{self.failures}"
        return f"{self.generation}/applied" + (f"/{self.failures}" if self.failures else "")


def retry_delay_s(attempts: int) -> float:
    """How long to wait after so many failures in a row: 1, 2, 4, … seconds."""
    return min(_DELAY_MAX_S, 2.0 ** min(attempts - 1, 10))
