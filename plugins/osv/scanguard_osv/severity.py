"""How bad an advisory is, and who says so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import JsonValue

from scanguard.model.finding import Cvss
from scanguard.model.severity import Severity
from scanguard_osv.advisory import Advisory, Affected, Rating
from scanguard_osv.ecosystem import base_of

_VERSION_OF_TYPE = {"CVSS_V4": "4.0", "CVSS_V3": "3.1", "CVSS_V2": "2.0"}
_WORDS = {
    "critical": Severity.CRITICAL,
    "high": Severity.HIGH,
    "important": Severity.HIGH,
    "moderate": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
    "negligible": Severity.NEGLIGIBLE,
    "unimportant": Severity.NEGLIGIBLE,
}
"""Words of Ubuntu's priorities, Debian's urgencies and GitHub's severities. ``not yet assigned``, ``untriaged``
and ``end-of-life`` are no judgement."""
_MAX_VECTOR_CHARS = 512


@dataclass(frozen=True, slots=True)
class Assessment:
    """A severity with its source (a distribution, or the kind of CVSS), and every CVSS rating found."""

    severity: Severity = Severity.UNKNOWN
    source: str = ""
    cvss: tuple[Cvss, ...] = ()


def assess(advisory: Advisory, entries: Iterable[Affected], ecosystem: str, cve: str | None = None) -> Assessment:
    """Rate an advisory for one package.

    In this order: the distribution's own word about its package (it knows how it is built), CVSS of the entry,
    CVSS of the record, the database's word about the record. None of them: UNKNOWN, never LOW. With ``cve``,
    an advisory that bundles several (Ubuntu's USN) is rated for that one only, as far as it says.
    """
    affected = tuple(entries)
    if cve is not None and (ratings := _ratings_of_bundled(affected, cve)):
        return _from_ratings(ratings, base_of(ecosystem))
    own = _from_ratings([rating for entry in affected for rating in entry.severity], base_of(ecosystem))
    record = _from_ratings(advisory.severity, base_of(ecosystem))
    cvss = own.cvss or record.cvss
    for severity, source in (
        (_distribution_word(affected), base_of(ecosystem)),
        (_word_rating(own), own.source),
        (_word_rating(record), record.source),
        (own.severity, own.source),
        (record.severity, record.source),
        (_word(advisory.database_specific.get("severity")), advisory.id.partition("-")[0]),
    ):
        if severity is not Severity.UNKNOWN:
            return Assessment(severity, source, cvss)
    return Assessment(cvss=cvss)


def cvss_of(rating: Rating) -> Cvss | None:
    """Compute the base score of a CVSS vector, or None when the rating is none that can be read."""
    version = _VERSION_OF_TYPE.get(rating.type)
    if version is None or len(rating.score) > _MAX_VECTOR_CHARS:
        return None
    if version == "3.1" and rating.score.startswith("CVSS:3.0/"):
        version = "3.0"
    score = _base_score(version, rating.score)
    return None if score is None else Cvss(version=version, vector=rating.score, score=score, source="osv")


@lru_cache(maxsize=16_384)
def _base_score(version: str, vector: str) -> float | None:
    from cvss import CVSS2, CVSS3, CVSS4  # noqa: PLC0415  # not needed to start up
    from cvss.exceptions import CVSSError  # noqa: PLC0415  # not needed to start up

    kind = {"4": CVSS4, "3": CVSS3, "2": CVSS2}[version[0]]
    try:
        return float(kind(vector).base_score)
    except (CVSSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        return None


def _from_ratings(ratings: Sequence[Rating], distribution: str) -> Assessment:
    scores = sorted(
        (found for found in map(cvss_of, ratings) if found),
        key=lambda one: (one.version, one.score or 0.0),
        reverse=True,
    )
    for rating in ratings:
        if rating.type == distribution and _word(rating.score) is not Severity.UNKNOWN:
            return Assessment(_word(rating.score), distribution, tuple(scores))
    if not scores:
        return Assessment()
    newest = scores[0]
    return Assessment(_rate(newest), f"CVSS {newest.version}", tuple(scores))


def _rate(cvss: Cvss) -> Severity:
    """CVSS v2 has no CRITICAL and calls 0.0 to 3.9 low (https://nvd.nist.gov/vuln-metrics/cvss)."""
    severity = Severity.from_cvss(cvss.score)
    return Severity.HIGH if cvss.version == "2.0" and severity is Severity.CRITICAL else severity


def _word_rating(assessment: Assessment) -> Severity:
    return Severity.UNKNOWN if assessment.source.startswith("CVSS ") else assessment.severity


def _distribution_word(entries: Iterable[Affected]) -> Severity:
    """The worst of what the distribution says of the entries that hit."""
    keys = ("urgency", "severity", "ubuntu_priority", "priority")
    words = [_word(entry.ecosystem_specific.get(key)) for entry in entries for key in keys]
    return max(words, key=lambda severity: severity.rank, default=Severity.UNKNOWN)


def _word(value: JsonValue) -> Severity:
    """Debian marks urgencies it took over from elsewhere with asterisks (``low**``)."""
    return (
        _WORDS.get(re.sub(r"\*+$", "", value.strip().lower()), Severity.UNKNOWN)
        if isinstance(value, str)
        else Severity.UNKNOWN
    )


def bundled_cves(entry: Affected) -> Mapping[str, Sequence[Rating]]:
    """The vulnerabilities an entry of a bundle (Ubuntu's ``cves_map``) is about, each with its own ratings."""
    cves_map = entry.database_specific.get("cves_map")
    cves = cves_map.get("cves") if isinstance(cves_map, Mapping) else None
    return (
        {
            str(cve["id"]): _ratings(cve.get("severity"))
            for cve in cves or ()
            if isinstance(cve, Mapping) and cve.get("id")
        }
        if isinstance(cves, list)
        else {}
    )


def _ratings_of_bundled(entries: Iterable[Affected], cve: str) -> Sequence[Rating]:
    return [rating for entry in entries for rating in bundled_cves(entry).get(cve, ())]


def _ratings(value: JsonValue) -> Sequence[Rating]:
    return [
        Rating(type=one["type"], score=one["score"])
        for one in (value if isinstance(value, list) else ())
        if isinstance(one, dict) and isinstance(one.get("type"), str) and isinstance(one.get("score"), str)
    ]
