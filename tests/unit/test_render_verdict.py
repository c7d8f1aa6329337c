from __future__ import annotations

import json
import unicodedata
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanguard import errors
from scanguard.model.merged import MergedReport
from scanguard.model.report import Coverage
from scanguard.model.verdict import Outcome, Reason
from scanguard.render.advice import _ADVICE, advice_for
from scanguard.render.document import Document, Table, words
from scanguard.render.draw import Canvas, draw
from scanguard.render.explain import DeliveryLine, explain_document
from scanguard.render.findings import best_known_id, by_severity_and_package, findings_table
from scanguard.render.json_text import verdicts_json
from scanguard.render.results import affected_document, results_document
from scanguard.render.verdict import deciding_reasons, summary_document, verdict_document
from scanguard.testing.samples import (
    NOW,
    failed_scanner,
    sample_finding,
    sample_image_verdict,
    sample_report,
    sample_scanner,
    sample_verdict,
)

REPORT = sample_report()
IMAGE = sample_image_verdict(REPORT, Outcome.FAIL)
REPORTS = {str(IMAGE.merged): REPORT}


def text_of(document: Document) -> str:
    return words(document)


def test_findings_come_worst_first_and_exploited_ones_before_others() -> None:
    ordered = [merged.finding.id for merged in by_severity_and_package(REPORT.findings)]
    assert ordered[:4] == ["CVE-2021-3711", "CVE-2022-1292", "CVE-2019-3462", "CVE-2022-0778"]
    assert ordered[-1] == "DSA-4999-1"


def test_a_cut_table_says_how_many_are_missing() -> None:
    table, note = findings_table(REPORT.findings, limit=2)
    assert isinstance(table, Table)
    assert len(table.rows) == 2
    assert "7 more" in words((note,))
    assert len(findings_table(REPORT.findings, limit=0)) == 1


def test_the_id_people_search_for_is_shown() -> None:
    finding = sample_finding("GHSA-aaaa", "HIGH", "requests", installed="1").finding
    assert best_known_id(finding) == "GHSA-aaaa"
    assert best_known_id(finding.model_copy(update={"aliases": ("PYSEC-1", "CVE-2024-1")})) == "CVE-2024-1"


def test_a_verdict_tells_findings_gaps_who_looked_and_the_deciding_rule() -> None:
    text = text_of(verdict_document(sample_verdict(images=[IMAGE]), REPORTS, now=NOW))
    for expected in (
        "Container group web (shop, westeurope)",
        "osv 9 findings, scanned 3 min ago, scanguard-osv 0.1.0, osv.dev of 2026-11-21 (2 days ago)",
        "CVE-2019-3462 exploited",
        "no fix known",
        "2 critical, 2 high, 2 medium, 1 low, 1 negligible, 1 of unknown severity; 6 can be fixed",
        "Go binaries  not covered (3 packages)  osv  compiled Go modules are not read",
        "PyPI  partly (2 packages)",
        "FAIL  threshold: 2 findings of severity CRITICAL (CVE-2021-3711, CVE-2022-1292)",
        "scanguard explain",
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("hours", "freshness", "expected"),
    [
        pytest.param(2, 24, "fresh for another 22 h; --force scans again", id="fresh"),
        pytest.param(30, 24, "no longer fresh", id="gone stale since"),
        pytest.param(2, None, "still fresh; --force", id="window not known"),
    ],
)
def test_a_reused_scan_says_for_how_long(hours: int, freshness: int | None, expected: str) -> None:
    scanner = sample_scanner(reused=True, scanned_at=NOW - timedelta(hours=hours))
    verdict = sample_verdict(images=[sample_image_verdict(REPORT, Outcome.FAIL, scanners=(scanner,))])
    window = timedelta(hours=freshness) if freshness else None
    assert expected in text_of(verdict_document(verdict, REPORTS, now=NOW, freshness=window))


def test_nobody_looked_is_never_told_as_nothing_found() -> None:
    failed = failed_scanner("gateway answered 503", "ScannerUnavailableError")
    image = sample_image_verdict(None, Outcome.UNKNOWN, scanners=(failed,))
    text = text_of(verdict_document(sample_verdict(Outcome.UNKNOWN, images=[image]), {}, now=NOW))
    assert "Nobody looked." in text
    assert "No vulnerability found" not in text
    assert "qualys-us failed: gateway answered 503" in text
    assert f"to do: {advice_for('ScannerUnavailableError')}" in text


def test_nothing_found_is_told_as_such() -> None:
    clean = sample_report(gaps=False, findings=())
    image = sample_image_verdict(clean, Outcome.PASS)
    text = text_of(verdict_document(sample_verdict(Outcome.PASS, images=[image]), {str(image.merged): clean}, now=NOW))
    assert "No vulnerability found." in text
    assert "PASS  no rule objects" in text
    assert "NOT LOOKED AT" not in text


def test_an_image_in_which_nothing_was_recognised_is_a_gap() -> None:
    empty = MergedReport(digest=REPORT.digest, coverage={"osv": Coverage(items=())})
    image = sample_image_verdict(empty, Outcome.UNKNOWN)
    verdict = sample_verdict(Outcome.UNKNOWN, images=[image])
    text = text_of(verdict_document(verdict, {str(image.merged): empty}, now=NOW))
    assert "the whole image  not covered  osv  nothing in it was recognised" in text


def test_a_stored_report_that_is_gone_is_said() -> None:
    assert "stored report cannot be found" in text_of(verdict_document(sample_verdict(images=[IMAGE]), {}, now=NOW))


def test_only_reasons_of_the_final_outcome_decide_and_each_is_told_once() -> None:
    reason = IMAGE.reasons[0]
    lesser = Reason(policy="threshold", outcome=Outcome.WARN, message="a warning")
    verdict = sample_verdict(images=[IMAGE, IMAGE], reasons=(reason, lesser))
    assert deciding_reasons(verdict) == [reason]


def test_explain_tells_the_whole_story() -> None:
    failed = failed_scanner("not needed", "ScanTimeoutError").model_copy(update={"needed": False})
    image = IMAGE.model_copy(update={"scanners": (sample_scanner(), failed)})
    broken = sample_image_verdict(
        None, Outcome.UNKNOWN, name="private.example/x:1", image=None, scanners=(), init=True,
        error="private.example refuses x", error_kind="RegistryAuthError",
    )  # fmt: skip
    verdict = sample_verdict(images=[image, broken], previous=Outcome.PASS, new_findings=("CVE-2021-3711",), revision=2)
    told = [DeliveryLine("told by ops", "failed", "after 5 attempts: 403", failed=True)]
    text = text_of(explain_document(verdict, REPORTS, now=NOW, deliveries=told))
    for expected in (
        "FAIL  container group web, decided 2 min ago (2026-11-23 11:58:00 UTC)",
        "by 00000000-0000-0000-0000-0000000000aa",
        "tags team=checkout",
        "Chain prod",
        "scope 1 matches the subscription",
        "Image 1 of 2: shop.example/web:1.4  FAIL",
        IMAGE.image.digest if IMAGE.image else "",
        "failed (not needed: another scanner stands in): not needed",
        "rule threshold says FAIL (decided): 2 findings of severity CRITICAL",
        "CRITICAL  libssl1.1",
        "Image 2 of 2: private.example/x:1  UNKNOWN",
        "error: private.example refuses x",
        "docker login",
        "FAIL because of shop.example/web:1.4",
        "before pass; 1 finding it did not have: CVE-2021-3711",
        "revision 2 (judged again after a late report)",
        f"id {verdict.id}",
        "told by ops failed  after 5 attempts: 403",
    ):
        assert expected in text
    assert "CVE-2005-2541" not in text, "a finding that decided nothing"


def test_explain_says_that_no_delivery_was_owed_and_is_silent_when_it_does_not_know() -> None:
    verdict = sample_verdict(images=[IMAGE])
    assert "names no sink and no notifier" in text_of(explain_document(verdict, REPORTS, now=NOW, deliveries=[]))
    assert "Deliveries" not in text_of(explain_document(verdict, REPORTS, now=NOW))


def test_results_list_verdicts_with_ids_to_explain() -> None:
    verdict = sample_verdict(images=[IMAGE])
    text = text_of(results_document([verdict], now=NOW))
    assert "2 min ago  FAIL  web  shop.example/web:1.4  2  2  " + verdict.id[:12] in text
    assert text_of(results_document([], now=NOW)) == "No stored verdict matches."


def test_what_runs_a_vulnerability_names_package_and_fix_by_any_alias() -> None:
    verdict = sample_verdict(images=[IMAGE])
    text = text_of(affected_document("cve-2022-0778", [verdict], REPORTS, now=NOW))
    assert "libssl1.1  1.1.1d-0+deb10u3  1.1.1d-0+deb10u8" in text
    assert "no details" in text_of(affected_document("CVE-2022-0778", [verdict], {}, now=NOW))
    assert "No deployment" in text_of(affected_document("CVE-2022-0778", [], {}, now=NOW))


def test_a_summary_has_a_row_per_verdict_and_only_severities_that_occur() -> None:
    clean = sample_image_verdict(sample_report(gaps=False, findings=()), Outcome.PASS)
    other = sample_verdict(Outcome.PASS, name="api", images=[clean])
    rows = text_of(summary_document([sample_verdict(images=[IMAGE]), other])).splitlines()
    assert rows[0].split() == ["VERDICT", "WHAT", "CRITICAL", "HIGH", "MEDIUM", "LOW", "NEGLIGIBLE", "UNKNOWN", "ID"]
    assert rows[2].startswith("PASS  api  0")


def test_json_is_ascii_versioned_and_whole() -> None:
    verdict = sample_verdict(images=[IMAGE.model_copy(update={"error": "\x1b[31m\u202e"})])
    text = verdicts_json([verdict], REPORTS, dead={"x": "why"})
    assert text.isascii()
    assert "\x1b" not in text
    document = json.loads(text)
    assert document["schema_version"] == 1
    assert document["verdicts"][0]["id"] == verdict.id
    assert len(document["reports"][IMAGE.merged]["findings"]) == 9
    assert document["dead"] == {"x": "why"}
    assert MergedReport.model_validate(document["reports"][IMAGE.merged]) == REPORT


def test_advice_names_only_errors_that_exist() -> None:
    assert all(issubclass(getattr(errors, name), errors.ScanguardError) for name in _ADVICE)
    assert advice_for("SomethingElse") == ""


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=60))
def test_no_foreign_text_anywhere_reaches_the_terminal_raw(text: str) -> None:
    scanner = sample_scanner(status="failed", error=text, error_kind=text)
    image = IMAGE.model_copy(update={"name": text, "container": text, "error": text, "scanners": (scanner,)})
    verdict = sample_verdict(images=[image], reasons=(Reason(policy=text, outcome=Outcome.FAIL, message=text),))
    told = [DeliveryLine(text, text, text)]
    for document in (
        verdict_document(verdict, REPORTS, now=NOW),
        explain_document(verdict, REPORTS, now=NOW, deliveries=told),
        results_document([verdict], now=NOW),
        affected_document(text, [], {}, now=NOW),
    ):
        drawn = draw(document, Canvas(80))
        assert all(
            character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Cs") for character in drawn
        )
