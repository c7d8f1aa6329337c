"""Realistic verdicts and reports, for tests of whatever shows, sends or stores them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from scanguard.model.deployment import Container, Deployment, Event
from scanguard.model.finding import Finding, Kev, Package
from scanguard.model.image import Platform, ResolvedImage
from scanguard.model.merged import MergedFinding, MergedReport
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, count_severities
from scanguard.model.severity import Severity
from scanguard.model.verdict import ChainChoice, ImageVerdict, Outcome, Reason, ScannerOutcome, ScannerStatus, Verdict

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
"""The moment that every sample's ages count from."""

_SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001"
_FINDINGS = (
    (
        "CVE-2021-3711",
        "CRITICAL",
        "libssl1.1",
        "1.1.1d-0+deb10u3",
        "1.1.1d-0+deb10u7",
        "SM2 decryption buffer overflow",
    ),
    ("CVE-2022-1292", "CRITICAL", "openssl", "1.1.1d-0+deb10u3", "1.1.1n-0+deb10u2", "c_rehash command injection"),
    ("CVE-2019-3462", "HIGH", "apt", "1.8.2", "", "Content injection in the http method"),
    ("CVE-2022-0778", "HIGH", "libssl1.1", "1.1.1d-0+deb10u3", "1.1.1d-0+deb10u8", "Infinite loop in BN_mod_sqrt()"),
    ("PYSEC-2023-74", "MEDIUM", "requests", "2.25.1", "2.31.0", "Proxy-Authorization header leaks on redirect"),
    ("CVE-2020-1751", "MEDIUM", "libc6", "2.28-10", "2.28-10+deb10u1", "Out-of-bounds write in backtrace on powerpc"),
    ("CVE-2016-2781", "LOW", "coreutils", "8.30-3", "", "Non-privileged session can escape to the parent session"),
    ("CVE-2005-2541", "NEGLIGIBLE", "tar", "1.30+dfsg-6", "", "tar does not warn when extracting setuid files"),
    ("DSA-4999-1", "UNKNOWN", "asterisk-core", "1:16.2.1~dfsg-1", "1:16.16.1~dfsg-1+deb10u1", ""),
)


def sample_id(name: str) -> str:
    """32 hex characters, as the engine's own ids."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def sample_finding(
    vulnerability: str, severity: str, package: str, *, installed: str, fixed: str = "", title: str = ""
) -> MergedFinding:
    """One vulnerability of a Debian package, found by ``osv``."""
    purl = f"pkg:deb/debian/{package}@{installed}"
    finding = Finding(
        id=vulnerability,
        package=Package(purl=purl, name=package, version=installed, ecosystem="Debian:10"),
        fixed_versions=(fixed,) if fixed else (),
        severity=Severity(severity),
        title=title,
        kev=Kev(added=date(2022, 1, 10)) if vulnerability == "CVE-2019-3462" else None,
    )
    return MergedFinding(finding=finding, found_by=("osv",))


def sample_image(name: str = "shop.example/web:1.4") -> ResolvedImage:
    """An image of a registry, resolved twenty seconds ago."""
    digest = "sha256:" + hashlib.sha256(name.encode()).hexdigest()
    return ResolvedImage(
        name=name,
        source=f"shop.example/web@{digest}",
        reference=None,
        digest=digest,
        platform=Platform(),
        resolved_at=NOW - timedelta(seconds=20),
    )


def sample_report(*, gaps: bool = True, findings: Sequence[MergedFinding] | None = None) -> MergedReport:
    """A merged report of one scanner with nine findings and, unless switched off, two gaps."""
    items = [CoverageItem(subject="Debian:10", status=CoverageStatus.COVERED, packages=112)]
    if gaps:
        items += [
            CoverageItem(subject="Go binaries", status=CoverageStatus.NOT_COVERED, packages=3,
                         detail="compiled Go modules are not read"),
            CoverageItem(subject="PyPI", status=CoverageStatus.PARTIAL, packages=2,
                         detail="two packages have no version in their metadata"),
        ]  # fmt: skip
    found = (
        tuple(
            sample_finding(name, severity, package, installed=installed, fixed=fixed, title=title)
            for name, severity, package, installed, fixed, title in _FINDINGS
        )
        if findings is None
        else tuple(findings)
    )
    return MergedReport(digest=sample_image().digest, findings=found, coverage={"osv": Coverage(items=tuple(items))})


def sample_scanner(**changes: object) -> ScannerOutcome:
    """``osv``, done three minutes ago with a database two days old; ``changes`` replace fields."""
    info = ScannerInfo(
        tool="scanguard-osv", version="0.1.0", database="osv.dev", database_updated_at=NOW - timedelta(days=2)
    )
    outcome = ScannerOutcome(
        instance="osv",
        plugin="osv",
        status=ScannerStatus.DONE,
        info=info,
        scanned_at=NOW - timedelta(minutes=3),
        findings=9,
    )
    return outcome.model_copy(update=changes)


def failed_scanner(error: str, kind: str, instance: str = "qualys-us") -> ScannerOutcome:
    """A scanner that did not answer."""
    return ScannerOutcome(instance=instance, plugin="qualys", status=ScannerStatus.FAILED, error=error, error_kind=kind)


def sample_image_verdict(
    report: MergedReport | None, outcome: Outcome, *, name: str = "shop.example/web:1.4", **changes: object
) -> ImageVerdict:
    """One image, judged by ``threshold`` on its critical findings; ``changes`` replace fields."""
    findings = [merged.finding for merged in report.findings] if report else []
    critical = tuple(finding.id for finding in findings if finding.severity is Severity.CRITICAL)
    reason = Reason(
        policy="threshold", outcome=outcome, message=f"{len(critical)} findings of severity CRITICAL", findings=critical
    )
    judged = ImageVerdict(
        container="web",
        name=name,
        image=sample_image(name),
        scanners=(sample_scanner(),),
        merged=f"merged/{sample_id(name)}" if report else None,
        counts={severity: number for severity, number in count_severities(findings).items() if number},
        fixable=sum(finding.is_fixable for finding in findings),
        outcome=outcome,
        reasons=() if outcome is Outcome.PASS else (reason,),
    )
    return judged.model_copy(update=changes)


def sample_verdict(
    outcome: Outcome = Outcome.FAIL,
    *,
    name: str = "web",
    images: Sequence[ImageVerdict] | None = None,
    kind: str = "container_group",
    **changes: object,
) -> Verdict:
    """A verdict on a container group; ``changes`` replace fields."""
    judged = tuple(images) if images is not None else (sample_image_verdict(sample_report(), outcome),)
    resource = f"{_SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.ContainerInstance/containerGroups/{name}"
    verdict = Verdict(
        id=sample_id(name),
        outcome=outcome,
        deployment=Deployment(
            resource_id=resource,
            kind=kind,
            name=name,
            subscription="00000000-0000-0000-0000-000000000001",
            resource_group="shop",
            location="westeurope",
            tags={"team": "checkout"},
            containers=tuple(Container(name=image.container, image=image.name) for image in judged),
            seen_at=NOW - timedelta(minutes=5),
        ),
        event=Event(
            id="5c6f0d3a-6f6f-4b59-a6b4-8f4c8b4f2d10",
            source=_SUBSCRIPTION,
            type="Microsoft.Resources.ResourceWriteSuccess",
            operation="Microsoft.ContainerInstance/containerGroups/write",
            resource_id=resource,
            time=NOW - timedelta(minutes=6),
            actor="00000000-0000-0000-0000-0000000000aa",
        ),
        chain=ChainChoice(name="prod", why=("scope 1 matches the subscription", "prod extends default")),
        images=judged,
        decided_at=NOW - timedelta(minutes=2),
    )
    return verdict.model_copy(update=changes)
