"""Qualys' words into ours.

Severity: 5 CRITICAL, 4 HIGH, 3 MEDIUM, 2 LOW, 1 NEGLIGIBLE (github.com/nelssec/qualys-ado); Qualys calls level 4
"Critical", so labels are never read. ``customerSeverity``, the subscriber's own, goes before ``severity``.

A QID with several CVEs and packages becomes a finding for each pair; the QID is a reference on each, so that nothing
joins them. What gets lost: the relation of one CVE to one package inside a QID (every CVE is said of every package, as
the answer does not tell), the text table ``result``, and layers of cloud answers. No package URL is made up: Qualys
gives none, and the operating system's name alone does not say which package manager a package came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import JsonValue

from scanguard.errors import ScannerOutputError
from scanguard.model.finding import ComplianceCheck, Cvss, Finding, Package
from scanguard.model.severity import Severity
from scanguard_qualys.detection import Control, Detection, Software

MAX_FINDINGS: Final = 500_000
_SEVERITIES: Final = {
    5: Severity.CRITICAL,
    4: Severity.HIGH,
    3: Severity.MEDIUM,
    2: Severity.LOW,
    1: Severity.NEGLIGIBLE,
}
_CRITICALITIES: Final = {
    "CRITICAL": Severity.CRITICAL,
    "URGENT": Severity.CRITICAL,
    "HIGH": Severity.HIGH,
    "MEDIUM": Severity.MEDIUM,
    "LOW": Severity.LOW,
    "MINIMAL": Severity.NEGLIGIBLE,
}


def to_findings(detections: Iterable[Detection]) -> tuple[Finding, ...]:
    """A finding for each CVE and package of each QID; ScannerOutputError for more than anybody can read."""
    found: dict[tuple[str, ...], Finding] = {}
    for detection in detections:
        for finding in _flattened(detection):
            package = finding.package
            key = (finding.id, str(detection.qid), package.name, package.version, package.path or "")
            found.setdefault(key, finding)
        if len(found) > MAX_FINDINGS:
            raise ScannerOutputError(
                f"Qualys reports more than {MAX_FINDINGS:,} findings of one image", plugin="qualys"
            )
    return tuple(found.values())


def _flattened(detection: Detection) -> Iterator[Finding]:
    severity, source = severity_of(detection)
    qid = f"QID-{detection.qid}"
    vendor = _vendor(detection)
    ratings = tuple(_ratings(detection))
    for software in detection.software or (_unnamed(detection),):
        package = Package(
            purl="",
            name=software.name,
            version=software.version,
            ecosystem="",
            path=software.path,
            layer=software.layer,
        )
        for name in dict.fromkeys(detection.cves) or (qid,):
            yield Finding(
                id=name,
                package=package,
                fixed_versions=(software.fixed,) if software.fixed else (),
                severity=severity,
                severity_source=source,
                cvss=ratings,
                title=detection.title,
                references=(qid,) if name != qid else (),
                published=detection.published,
                informational=detection.kind == "INFORMATION",
                exempted=detection.exempted,
                vendor=vendor,
            )


def severity_of(detection: Detection) -> tuple[Severity, str]:
    """The severity, and whose it is."""
    if detection.customer_severity in _SEVERITIES:
        return _SEVERITIES[detection.customer_severity], "qualys customerSeverity"
    if detection.severity in _SEVERITIES:
        return _SEVERITIES[detection.severity], "qualys severity"
    return Severity.UNKNOWN, ""


def _unnamed(detection: Detection) -> Software:
    """A QID that names no package still stands somewhere: at its product, else under its own number."""
    return Software(detection.products[0] if detection.products else f"QID {detection.qid}")


def _ratings(detection: Detection) -> Iterator[Cvss]:
    if detection.cvss3 is not None:
        yield Cvss(version="3", vector="", score=detection.cvss3, source="qualys")
    if detection.cvss2 is not None:
        yield Cvss(version="2", vector="", score=detection.cvss2, source="qualys")


def _vendor(detection: Detection) -> dict[str, JsonValue]:
    own: dict[str, JsonValue] = {
        "qid": detection.qid,
        "severity": detection.severity,
        "customer_severity": detection.customer_severity,
        "type_detected": detection.kind or None,
        "cves": list(detection.cves) if len(detection.cves) > 1 else None,
        "exempted": True if detection.exempted else None,
        **detection.vendor,
    }
    return {name: value for name, value in own.items() if value is not None}


def to_checks(controls: Iterable[Control]) -> tuple[ComplianceCheck, ...]:
    """Compliance controls."""
    return tuple(
        ComplianceCheck(
            id=control.id,
            title=control.title,
            passed=control.passed,
            severity=_CRITICALITIES.get(control.criticality.upper(), Severity.UNKNOWN),
            vendor=control.vendor,
        )
        for control in controls
    )
