"""Which format a report has: exactly one that is known, or it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from scanguard.errors import ScannerOutputError
from scanguard_reports.config import FormatName
from scanguard_reports.formats import cyclonedx, grype, sarif, snyk, trivy
from scanguard_reports.parsed import Parsed


class _Format(NamedTuple):
    recognises: Callable[[Any], bool]
    read: Callable[[Any], Parsed]


FORMATS: Final[dict[FormatName, _Format]] = {
    "trivy": _Format(trivy.recognises, trivy.read),
    "grype": _Format(grype.recognises, grype.read),
    "snyk": _Format(snyk.recognises, snyk.read),
    "sarif": _Format(sarif.recognises, sarif.read),
    "cyclonedx": _Format(cyclonedx.recognises, cyclonedx.read),
}


def read_report(data: bytes, where: str, wanted: frozenset[FormatName] | None = None) -> Parsed:
    """A report; ScannerOutputError, which repeats nothing of it, for what is no report of a known format."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise _unreadable(where, "is no JSON") from exc
    named = [name for name, one in FORMATS.items() if one.recognises(document)]
    if len(named) != 1:
        known = ", ".join(FORMATS)
        raise _unreadable(where, f"has no format that is known here ({known})" if not named else "has several formats")
    if wanted is not None and named[0] not in wanted:
        raise _unreadable(where, f"is a {named[0]} report; taken are {', '.join(sorted(wanted))}")
    try:
        return FORMATS[named[0]].read(document)
    except ValidationError as exc:
        fault = exc.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"])[:120]
        raise _unreadable(where, f"is a {named[0]} report that cannot be read: {place}: {fault['type']}") from exc
    except RecursionError as exc:
        raise _unreadable(where, "is nested too deep") from exc


def _unreadable(where: str, problem: str) -> ScannerOutputError:
    return ScannerOutputError(f"{where} {problem}", plugin="reports", target=where)
