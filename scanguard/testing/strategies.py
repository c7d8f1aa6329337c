"""Hypothesis strategies for what plugins meet: references, digests, findings, reports, verdicts, events, notices.

Everything they make is valid, and as odd as the models allow: long and hostile texts, no findings and many, gaps,
severities that compare with nothing. Needs hypothesis.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hypothesis import strategies as st
from pydantic import JsonValue

from scanguard.hooks import Notice
from scanguard.model.deployment import Container, Deployment, Event
from scanguard.model.finding import Cvss, Finding, Package
from scanguard.model.image import Platform, ResolvedImage
from scanguard.model.merged import MergedFinding, MergedReport
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, ScanReport, count_severities
from scanguard.model.severity import Severity
from scanguard.model.verdict import ChainChoice, ImageVerdict, Outcome, Reason, Verdict

_WORDS: Final = st.from_regex(r"[a-z][a-z0-9-]{0,15}", fullmatch=True)
_TEXTS: Final = st.text(max_size=200)
_CVSS: Final = st.builds(Cvss, version=_WORDS, vector=_TEXTS, score=st.none() | st.floats(0, 10))


def moments() -> st.SearchStrategy[datetime]:
    """Aware moments in UTC, of this century."""
    start = datetime(2000, 1, 1, tzinfo=UTC)
    return st.integers(0, 3_000_000_000).map(lambda seconds: start + timedelta(seconds=seconds))


def json_values() -> st.SearchStrategy[JsonValue]:
    """Whatever JSON can hold, up to a dozen values deep or wide; numbers that JSON has no word for too."""
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    )


def json_objects(like: Mapping[str, JsonValue] | None = None) -> st.SearchStrategy[dict[str, JsonValue]]:
    """JSON objects; with an example, such as look ``like`` it: some keys missing, some values strange, at any depth."""
    if not like:
        return st.dictionaries(st.text(), json_values(), max_size=4)

    def near(value: JsonValue) -> st.SearchStrategy[JsonValue]:
        if isinstance(value, dict) and value:
            return st.one_of(json_objects(value), json_values())
        return st.one_of(st.just(value), json_values())

    return st.fixed_dictionaries({}, optional={key: near(value) for key, value in like.items()})


def digests() -> st.SearchStrategy[str]:
    """``sha256:`` and 64 hex digits."""
    return st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)


def image_names() -> st.SearchStrategy[str]:
    """References as people write them: with and without registry, tag and digest."""
    part = st.from_regex(r"[a-z0-9]{1,8}([._-][a-z0-9]{1,8}){0,2}", fullmatch=True)
    path = st.lists(part, min_size=1, max_size=3).map("/".join)
    host = st.sampled_from(["", "shop.example/", "shop.example:5000/", "127.0.0.1/"])
    tag = st.one_of(st.just(""), st.from_regex(r":[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True))
    return st.builds("{}{}{}".format, host, path, tag)


def packages() -> st.SearchStrategy[Package]:
    """Packages; their texts may hold anything."""
    return st.builds(Package, purl=_TEXTS, name=_TEXTS, version=_TEXTS, ecosystem=_TEXTS, path=st.none() | _TEXTS)


def findings() -> st.SearchStrategy[Finding]:
    """Findings of any severity."""
    ids = st.from_regex(r"CVE-20[0-9]{2}-[0-9]{4,6}|GHSA(-[0-9a-z]{4}){3}", fullmatch=True)
    return st.builds(
        Finding,
        id=ids,
        package=packages(),
        severity=st.sampled_from(Severity),
        severity_source=_WORDS,
        aliases=st.lists(ids, max_size=3).map(tuple),
        cvss=st.lists(_CVSS, max_size=2).map(tuple),
        title=_TEXTS,
        vendor=st.dictionaries(_TEXTS, st.none() | st.booleans() | st.integers() | _TEXTS, max_size=2),
        fixed_versions=st.lists(_WORDS, max_size=2).map(tuple),
    )


def coverages() -> st.SearchStrategy[Coverage]:
    """What was looked at; with and without gaps."""
    item = st.builds(CoverageItem, subject=_WORDS, status=st.sampled_from(CoverageStatus), detail=_TEXTS)
    return st.lists(item, max_size=4).map(lambda items: Coverage(items=tuple(items)))


@st.composite
def scan_reports(draw: st.DrawFn, digest: str | None = None) -> ScanReport:
    """Reports of one scanner on one image."""
    started = draw(moments())
    return ScanReport(
        digest=digest or draw(digests()),
        platform=Platform(),
        scanner=ScannerInfo(tool=draw(_WORDS), version="1"),
        started_at=started,
        finished_at=started + timedelta(seconds=draw(st.integers(0, 3600))),
        findings=tuple(draw(st.lists(findings(), max_size=6))),
        coverage=draw(coverages()),
    )


@st.composite
def merged_reports(draw: st.DrawFn, digest: str | None = None) -> MergedReport:
    """What several scanners say of one image, merged."""
    from scanguard.engine.merge import merge  # noqa: PLC0415  # the engine is loaded by those who merge

    about = digest or draw(digests())
    names = draw(st.lists(_WORDS, min_size=1, max_size=3, unique=True))
    return merge(about, {name: draw(scan_reports(about)) for name in names})


def events() -> st.SearchStrategy[Event]:
    """Trimmed events of deployments."""
    return st.builds(
        Event,
        id=_WORDS,
        source=_WORDS,
        type=_WORDS,
        resource_id=_WORDS.map("/subscriptions/s/{}".format),
        time=moments(),
    )


def verdicts() -> st.SearchStrategy[Verdict]:
    """Verdicts on deployments of up to three images, judged every way."""
    return notices().map(lambda notice: notice.verdict)


@st.composite
def notices(draw: st.DrawFn) -> Notice:
    """Verdicts with their merged reports, as a sink or notifier gets them."""
    at = draw(moments())
    event = draw(events())
    reports: dict[str, MergedReport] = {}
    images = []
    for number in range(draw(st.integers(0, 3))):
        merged = draw(merged_reports())
        reports[f"merged/{number}.json"] = merged
        images.append(_image_verdict(draw, draw(image_names()), merged, f"merged/{number}.json", at))
    outcome = Outcome.worst(image.outcome for image in images)
    verdict = Verdict(
        id=draw(st.from_regex(r"[0-9a-f]{32}", fullmatch=True)),
        revision=draw(st.integers(1, 9)),
        outcome=outcome,
        deployment=Deployment(
            resource_id=event.resource_id,
            kind="container_group",
            name=draw(_TEXTS),
            containers=tuple(Container(name=image.container, image=image.name) for image in images),
            seen_at=at,
        ),
        event=event,
        chain=ChainChoice(name=draw(_WORDS)),
        images=tuple(images),
        reasons=tuple(reason for image in images for reason in image.reasons),
        decided_at=at,
    )
    return Notice(key=draw(_WORDS), verdict=verdict, reports=reports)


def _image_verdict(draw: st.DrawFn, name: str, merged: MergedReport, stored: str, at: datetime) -> ImageVerdict:
    outcome = draw(st.sampled_from(Outcome))
    found: tuple[MergedFinding, ...] = merged.findings
    resolved: dict[str, Any] = {"name": name, "source": f"oci:{name}", "reference": None}
    return ImageVerdict(
        container=draw(_WORDS),
        name=name,
        image=ResolvedImage(**resolved, digest=merged.digest, platform=Platform(), resolved_at=at),
        merged=stored,
        counts=count_severities(item.finding for item in found),
        outcome=outcome,
        reasons=(Reason(policy="strategy", outcome=outcome, message=draw(_TEXTS) or "why not"),),
    )
