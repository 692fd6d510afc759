"""What is said of a cluster, and the verdict that follows. Pure."""

from collections.abc import Iterable
from enum import IntEnum, StrEnum

from vegctl.preflight.facts import Fact


class Severity(StrEnum):
    """How much it matters."""

    OK = "ok"
    UNKNOWN = "unknown"  # could not be seen: it may be a limit, or worse
    LIMIT = "limit"
    BLOCKER = "blocker"


class Verdict(IntEnum):
    """The exit code."""

    WORKS = 0
    WORKS_WITH_LIMITS = 1
    DOES_NOT_WORK = 2

    @property
    def words(self) -> str:
        return self.name.lower().replace("_", " ")


class Finding(Fact, frozen=True, kw_only=True):
    """One sentence about one object, and what follows from it, which may be nothing.

    `id` is the same in every version; `severity` says how much it matters.
    """

    id: str
    severity: Severity
    object: str
    found: str
    follows: str = ""


def ok(identity: str, thing: str, found: str, follows: str = "") -> Finding:
    return Finding(id=identity, severity=Severity.OK, object=thing, found=found, follows=follows)


def unknown(identity: str, thing: str, found: str, follows: str) -> Finding:
    return Finding(id=identity, severity=Severity.UNKNOWN, object=thing, found=found, follows=follows)


def limit(identity: str, thing: str, found: str, follows: str) -> Finding:
    return Finding(id=identity, severity=Severity.LIMIT, object=thing, found=found, follows=follows)


def blocker(identity: str, thing: str, found: str, follows: str) -> Finding:
    return Finding(id=identity, severity=Severity.BLOCKER, object=thing, found=found, follows=follows)


def verdict(findings: Iterable[Finding]) -> Verdict:
    """That of the worst one."""
    severities = {finding.severity for finding in findings}
    if Severity.BLOCKER in severities:
        return Verdict.DOES_NOT_WORK
    return Verdict.WORKS_WITH_LIMITS if severities - {Severity.OK} else Verdict.WORKS
