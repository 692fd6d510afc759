"""The report as text. Pure."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from vegctl.preflight.derive import Report
from vegctl.preflight.findings import Finding, Verdict

_WIDTH = 120
_INDENT = " " * 10


def as_json(report: Report) -> str:
    """One object, for programs."""
    return json.dumps(report.as_json(), indent=2)


def as_text(report: Report) -> str:
    """For people: the findings, the worst first; what follows as values of the chart and as settings; the verdict."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    for finding in report.findings:
        yield from _finding(finding)
    yield ""
    if report.values is not None:
        yield "# values.yaml of the chart"
        yield from _yaml(report.values.chart)
        yield ""
        yield "# the same for services that are started otherwise"
        yield from (f"{name}={value}" for name, value in report.values.settings.items())
        yield ""
    yield f"{report.verdict.words}{_why(report)} (exit code {int(report.verdict)})"


def _finding(finding: Finding) -> Iterator[str]:
    text = f"{finding.object}: {finding.found}" + (f" -> {finding.follows}" if finding.follows else "")
    first = f"{finding.severity:<10}"
    yield from textwrap.wrap(
        f"{text} [{finding.id}]",
        _WIDTH,
        initial_indent=first,
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _yaml(values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """A text in JSON's quotes is one in YAML, also `on` and `false`."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _yaml(value, f"{indent}  ")
        else:
            yield f"{indent}{name}: {json.dumps(value)}"


def _why(report: Report) -> str:
    if report.verdict is Verdict.WORKS:
        return ""
    severities = [str(finding.severity) for finding in report.findings]
    counts = [(severities.count(name), name) for name in ("blocker", "limit", "unknown")]
    return ": " + ", ".join(f"{count} {name}" for count, name in counts if count)
