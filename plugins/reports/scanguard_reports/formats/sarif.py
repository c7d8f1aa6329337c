"""SARIF 2.1.0 (OASIS). It says what was found, not of which image, nor what was looked at.

A result whose rule names a vulnerability (CVE, GHSA …) is a finding; any other is a check that failed. Its severity is
the ``security-severity`` that GitHub reads, a CVSS score; ``level`` is no severity: without a score it stays UNKNOWN.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from scanguard.model.finding import ComplianceCheck, Finding, Package
from scanguard.model.report import CoverageItem, CoverageStatus
from scanguard.model.severity import Severity
from scanguard_reports.formats.fields import Foreign, Nullable, Score, Text, digests_in
from scanguard_reports.parsed import Parsed

_VULNERABILITY: Final = re.compile(
    r"(?:CVE-\d{4}-\d{4,}|GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}|PYSEC-\d{4}-\d+|RUSTSEC-\d{4}-\d{4}|GO-\d{4}-\d{4})",
    re.IGNORECASE,
)
_PASSED: Final = {"pass": True, "fail": False}


class Message(Foreign):
    """A text."""

    text: Text = ""


class RuleProperties(Foreign):
    """What a rule says beside its text."""

    score: Score = Field(default=None, alias="security-severity")
    purls: Any = None


class Rule(Foreign):
    """A rule."""

    id: Text = ""
    title: Message = Field(default=Message(), alias="shortDescription")
    properties: RuleProperties = RuleProperties()


class Artifact(Foreign):
    """What it was found in."""

    uri: Text = ""


class Region(Foreign):
    """A part of a file."""

    line: int | None = Field(default=None, alias="startLine")


class Physical(Foreign):
    """A file and a part of it."""

    artifact: Artifact = Field(default=Artifact(), alias="artifactLocation")
    region: Region = Region()


class Location(Foreign):
    """A place."""

    physical: Physical = Field(default=Physical(), alias="physicalLocation")


class RuleReference(Foreign):
    """A rule, by its id."""

    id: Text = ""


class Result(Foreign):
    """One result."""

    rule_id: Text = Field(default="", alias="ruleId")
    rule_index: int | None = Field(default=None, alias="ruleIndex")
    rule: RuleReference = RuleReference()
    kind: Text = "fail"
    level: Text = ""
    message: Message = Message()
    locations: Annotated[tuple[Location, ...], Nullable] = ()
    suppressions: Annotated[tuple[Any, ...], Nullable] = ()


class Driver(Foreign):
    """The tool."""

    name: Text = ""
    version: Text = ""
    semantic: Text = Field(default="", alias="semanticVersion")
    rules: Annotated[tuple[Rule, ...], Nullable] = ()


class Tool(Foreign):
    """The tool."""

    driver: Driver


class Run(Foreign):
    """One run of a tool."""

    tool: Tool
    results: Annotated[tuple[Result, ...], Nullable] = ()
    properties: dict[str, Any] | None = None


class Log(Foreign):
    """The whole log."""

    version: Literal["2.1.0"]
    runs: Annotated[tuple[Run, ...], Nullable]


def recognises(document: Any) -> bool:  # noqa: ANN401  # any JSON
    """A SARIF log has runs and a version."""
    return isinstance(document, dict) and "runs" in document and "version" in document


def read(document: Any) -> Parsed:  # noqa: ANN401  # any JSON
    """Read it; pydantic's ValidationError when it does not fit."""
    log = Log.model_validate(document)
    drivers = [run.tool.driver for run in log.runs]
    results = [(result, _rule(run, result)) for run in log.runs for result in run.results]
    said = [str(value) for run in log.runs for value in (run.properties or {}).values() if isinstance(value, str)]
    return Parsed(
        tool=" and ".join(dict.fromkeys(driver.name for driver in drivers if driver.name)) or "sarif",
        version=drivers[0].semantic or drivers[0].version if drivers else "",
        names=digests_in(said),
        findings=tuple(_finding(result, rule, name) for result, rule in results for name in _names(result, rule)),
        checks=tuple(_check(result, rule) for result, rule in results if not _names(result, rule)),
        coverage=tuple(_coverage(log)),
    )


def _rule(run: Run, result: Result) -> Rule:
    rules, wanted = run.tool.driver.rules, result.rule_id or result.rule.id
    if result.rule_index is not None and 0 <= result.rule_index < len(rules):
        rule = rules[result.rule_index]
        if not wanted or rule.id == wanted:
            return rule
    return next((rule for rule in rules if rule.id == wanted), Rule(id=wanted))


def _names(result: Result, rule: Rule) -> list[str]:
    found = _VULNERABILITY.search(result.rule_id or result.rule.id or rule.id)
    return [found[0].upper() if found[0].upper().startswith("CVE") else found[0]] if found else []


def _finding(result: Result, rule: Rule, name: str) -> Finding:
    where = result.locations[0].physical if result.locations else Physical()
    score = rule.properties.score
    purls = rule.properties.purls
    purl = purls[0] if isinstance(purls, list) and len(purls) == 1 and isinstance(purls[0], str) else ""
    return Finding(
        id=name,
        package=Package(
            purl=purl,
            name=_package_name(purl) or rule.id or name,
            version="",
            ecosystem="",
            path=where.artifact.uri or None,
        ),
        severity=Severity.from_cvss(score),
        severity_source="security-severity" if score is not None else "",
        title=rule.title.text,
        exempted=bool(result.suppressions),
        vendor={"rule": rule.id, "level": result.level, "message": result.message.text[:2000]},
    )


def _package_name(purl: str) -> str:
    return purl.partition("?")[0].rpartition("@")[0].rpartition("/")[2]


def _check(result: Result, rule: Rule) -> ComplianceCheck:
    where = result.locations[0].physical if result.locations else Physical()
    place = where.artifact.uri + (f":{where.region.line}" if where.region.line else "")
    return ComplianceCheck(
        id=rule.id or "unnamed",
        title=rule.title.text or result.message.text[:200],
        passed=None if result.suppressions else _PASSED.get(result.kind or "fail"),
        severity=Severity.from_cvss(rule.properties.score),
        detail=place,
        vendor={"level": result.level} if result.level else {},
    )


def _coverage(log: Log) -> Iterator[CoverageItem]:
    for run in log.runs:
        told = "SARIF does not say what was looked at"
        name = run.tool.driver.name or "a tool"
        yield CoverageItem(subject=f"what {name} looked at", status=CoverageStatus.PARTIAL, detail=told)
    if not log.runs:
        yield CoverageItem(subject="the image", status=CoverageStatus.NOT_COVERED, detail="no tool has run")
