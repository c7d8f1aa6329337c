"""Whatever a verdict holds, the webhook's body is whole JSON within its limit, and says truly what is missing."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanguard.builtin.webhook_config import MIN_BYTES, WebhookConfig
from scanguard.builtin.webhook_data import data_schema
from scanguard.builtin.webhook_message import build_message
from scanguard.hooks import Notice
from scanguard.model.finding import ComplianceCheck, SecretFinding
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus
from scanguard.model.severity import Severity
from scanguard.model.verdict import Outcome, Reason
from scanguard.testing.contracts.delivery import awkward_notices, sample_notice
from scanguard.testing.samples import sample_finding, sample_image_verdict, sample_report, sample_verdict

VALIDATOR = jsonschema.Draft202012Validator(data_schema())
TEXTS = st.sampled_from(["", "a", "<b>\x1b[31m\"'\\", "🐳" * 5, "\x01" * 3_000, "é" * 900, "x" * 40_000])
SEVERITIES = st.sampled_from([severity.value for severity in Severity])


@st.composite
def notices(draw: st.DrawFn) -> Notice:
    """Verdicts of up to forty images and three thousand findings, with texts nobody expects."""
    images, reports = [], {}
    for number in range(draw(st.integers(0, 40))):
        text, severity = draw(TEXTS), draw(SEVERITIES)
        many = draw(st.sampled_from([0, 1, 7, 80]))
        found = [sample_finding(f"CVE-{n}", severity, "p", installed="1" + text[:99], title=text) for n in range(many)]
        report = sample_report(findings=found).model_copy(
            update={
                "secrets": tuple(SecretFinding(rule="r", path=text) for _ in range(many % 4)),
                "compliance": (ComplianceCheck(id="c", passed=False, detail=text),),
                "coverage": {"s": Coverage(items=(gap(text),))},
            }
        )
        outcome = draw(st.sampled_from(list(Outcome)))
        reason = Reason(policy="p", outcome=outcome, message=text, findings=tuple(one.finding.id for one in found))
        image = sample_image_verdict(report, outcome, name=f"{number}/{text}", error=text, reasons=(reason,))
        images.append(image)
        reports[str(image.merged)] = report
    text = draw(TEXTS)
    verdict = sample_verdict(images=images, new_findings=tuple(f"CVE-{n}{text[:500]}" for n in range(100)))
    tags = {f"{n}{text}": text for n in range(draw(st.integers(0, 50)))}
    changed = {"tags": tags, "name": text, "location": text, "resource_id": (text or "r")[:2048]}
    deployment = verdict.deployment.model_copy(update=changed)
    return Notice(draw(TEXTS), verdict.model_copy(update={"deployment": deployment}), reports)


def gap(text: str) -> CoverageItem:
    return CoverageItem(subject=text, status=CoverageStatus.NOT_COVERED, detail=text)


def check(notice: Notice, **options: Any) -> dict[str, Any]:
    """Build, and hold the body against everything that is promised of it."""
    config = WebhookConfig.model_validate({"url": "https://h.example", "unsigned": True, **options})
    message = build_message(notice, config)
    assert len(message.body) <= config.max_bytes
    data: dict[str, Any] = json.loads(message.body, parse_constant=pytest.fail)
    data = data if config.mode == "binary" else data["data"]
    VALIDATOR.validate(data)
    held = {name: len(data[name]) for name in ("images", "reasons", "gaps", "findings", "new_findings", "reports")}
    held["tags"] = len(data["deployment"]["tags"])
    for kind in ("findings", "secrets", "compliance"):
        held[f"report_{kind}"] = sum(len(report[kind]) for report in data["reports"].values())
    assert {kind: data["total"][kind] - number for kind, number in held.items()} == data["omitted"]
    assert all(number >= 0 for number in data["omitted"].values())
    assert data["truncated"] == any(data["omitted"].values())
    assert data["total"]["images"] == len(notice.verdict.images)
    assert data["total"]["findings"] == sum(data["counts"].values())
    named = {image.merged: notice.reports[image.merged] for image in notice.verdict.images if image.merged}
    assert data["total"]["findings"] == sum(len(report.findings) for report in named.values())
    assert all(len(name.encode()) <= 8192 and len(value) <= 1024 for name, value in message.headers.items())
    assert all(value.isascii() and value.isprintable() for value in message.headers.values())
    return data


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    notice=notices(),
    mode=st.sampled_from(["structured", "binary"]),
    detail=st.sampled_from(["summary", "full"]),
    max_bytes=st.sampled_from([MIN_BYTES, 50_000, 256 * 1024, 4 * 1024 * 1024]),
)
def test_any_verdict_fits_its_limit_and_says_what_is_missing(
    notice: Notice, mode: str, detail: str, max_bytes: int
) -> None:
    check(notice, mode=mode, detail=detail, max_bytes=max_bytes)


@pytest.mark.parametrize("character", ["\x01", '"', "🐳", "\u2028", "\ud800"])
def test_the_worst_a_deployment_can_be_called_fits_the_smallest_limit(character: str) -> None:
    long = character * 5_000
    names = ("kind", "name", "subscription", "resource_group", "location")
    verdict = sample_verdict(images=[], chain=sample_verdict().chain.model_copy(update={"name": long}))
    changed: dict[str, Any] = dict.fromkeys(names, long) | {"resource_id": character * 2048, "tags": {long: long}}
    deployment = verdict.deployment.model_copy(update=changed)
    notice = Notice(long, verdict.model_copy(update={"deployment": deployment}), {})
    for mode in ("structured", "binary"):
        data = check(notice, mode=mode, max_bytes=MIN_BYTES, source="x" * 256)
        assert data["outcome"] == verdict.outcome


@pytest.mark.parametrize("detail", ["summary", "full"])
def test_rare_and_hostile_verdicts_fit(detail: str) -> None:
    for notice in (sample_notice(), *awkward_notices()):
        check(notice, detail=detail, max_bytes=MIN_BYTES)
        assert check(notice, detail=detail, max_findings=10_000)["omitted"]["findings"] == 0
