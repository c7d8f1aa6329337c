"""What is kept of a verdict: documents, metadata, columns."""

from __future__ import annotations

import gzip
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from results_account import image, notice, unlooked
from scanguard_azure.results_record import METADATA_BYTES, TEXT_UNITS, fitted, records_of

from scanguard.hooks import Notice
from scanguard.model.finding import ComplianceCheck
from scanguard.model.merged import MergedReport
from scanguard.model.verdict import Outcome
from scanguard.render.stored import StoredResult, results_of
from scanguard.testing.contracts.delivery import awkward_notices
from scanguard.testing.samples import failed_scanner, sample_report, sample_scanner


def with_checks(sent: Notice, *passed: bool | None) -> Notice:
    checks = tuple(ComplianceCheck(id=str(number), passed=one) for number, one in enumerate(passed))
    report = sample_report()
    reports: dict[str, MergedReport] = {name: report.model_copy(update={"compliance": checks}) for name in sent.reports}
    return Notice(key=sent.key, verdict=sent.verdict, reports=reports)


def test_the_columns_of_the_original_table_are_filled_and_those_beside_it() -> None:
    seen = image(scanners=(sample_scanner(), failed_scanner("down", "ScannerUnavailableError")))
    (record,) = records_of(with_checks(notice(seen, kind="container_app_job"), True, False, False, None))
    verdict = notice(seen).verdict
    assert record.columns == {
        "SchemaVersion": 1,
        "Image": "shop.example/web:1.4",
        "ScanId": verdict.id,
        "Revision": 1,
        "ScannedAt": verdict.decided_at,
        "Status": "COMPLETED",
        "Verdict": "fail",
        "DeploymentVerdict": "fail",
        "ContainerType": "ACA",
        "Kind": "container_app_job",
        "ResourceId": verdict.deployment.resource_id,
        "Subscription": "00000000-0000-0000-0000-000000000001",
        "Chain": "prod",
        "Digest": seen.image.digest if seen.image else "",
        "Scanners": "osv=done,qualys-us=failed",
        "VulnCritical": 2,
        "VulnHigh": 2,
        "VulnMedium": 2,
        "VulnLow": 1,
        "VulnNegligible": 1,
        "VulnUnknown": 1,
        "VulnTotal": 9,
        "CompliancePassed": 1,
        "ComplianceFailed": 2,
        "BlobPath": record.blob,
    }


@pytest.mark.parametrize(
    ("kind", "shown"),
    [("container_group", "ACI"), ("container_app", "ACA"), ("container_app_job", "ACA"), ("image", "OTHER")],
)
def test_the_container_type_is_of_the_original_words_or_other(kind: str, shown: str) -> None:
    (record,) = records_of(notice(kind=kind))
    assert (record.columns["ContainerType"], record.metadata["container_type"]) == (shown, shown)


def test_an_image_that_nobody_looked_at_failed_goes_to_the_errors_and_counts_nothing() -> None:
    (record,) = records_of(notice(unlooked()))
    assert record.columns["Status"] == "FAILED"
    assert record.blob.startswith("errors/")
    assert not [name for name in record.columns if name.startswith(("Vuln", "Compliance"))]


def test_an_unknown_verdict_with_a_report_failed_too_but_keeps_its_folder_and_counts() -> None:
    (record,) = records_of(notice(image(outcome=Outcome.UNKNOWN)))
    assert record.columns["Status"] == "FAILED"
    assert "/scan-" in record.blob
    assert record.columns["VulnTotal"] == 9


def test_two_spellings_of_an_image_in_one_deployment_are_one_row_with_the_worse_verdict() -> None:
    images = [image("nginx", Outcome.PASS), image("docker.io/library/nginx:latest", Outcome.UNKNOWN)]
    (record,) = records_of(notice(*images))
    assert record.columns["Image"] == "docker.io/library/nginx:latest"
    assert record.columns["Verdict"] == "unknown"


def test_a_deployment_without_an_image_is_kept_too() -> None:
    sent = notice()
    (record,) = records_of(Notice(key="k", verdict=sent.verdict.model_copy(update={"images": ()}), reports={}))
    assert record.columns["Image"] == sent.verdict.deployment.resource_id
    assert record.columns["Status"] == "COMPLETED" if sent.verdict.outcome is not Outcome.UNKNOWN else "FAILED"


def test_the_document_is_the_one_that_every_sink_writes() -> None:
    sent = notice()
    (record,), (result,) = records_of(sent), results_of(sent)
    assert record.document == result.model_dump_json(indent=2).encode()
    assert StoredResult.model_validate_json(record.document) == result
    (small,) = records_of(sent, compress=True)
    assert gzip.decompress(small.document) == record.document
    assert small.document == next(records_of(sent, compress=True)).document, "the same bytes each time"


def test_a_later_revision_has_the_same_keys_and_another_place_among_the_recent() -> None:
    first, late = notice(), notice(revision=2)
    (one,), (other,) = records_of(first), records_of(late)
    assert (one.key, one.blob) == (other.key, other.blob)
    assert one.recent != other.recent


@given(st.text(max_size=9_000))
def test_metadata_is_ascii_fits_and_reads_back(name: str) -> None:
    (record,) = records_of(notice(image(name)))
    assert sum(len(word) + len(value) for word, value in record.metadata.items()) <= METADATA_BYTES
    assert all(value.isascii() and value.isprintable() and value == value.strip() for value in record.metadata.values())
    shown = unquote(record.metadata["image"], errors="strict")
    whole = str(record.columns["Image"])
    assert whole.startswith(shown)
    assert ("truncated" in record.metadata) is (shown != whole)


@pytest.mark.parametrize("name", ["🐳" * 5_000, "é" * 5_000, "a" * 9_000, "x" * 7_001 + "é" * 999], ids=lambda n: n[0])
def test_a_name_too_long_for_metadata_is_cut_between_characters(name: str) -> None:
    (record,) = records_of(notice(image(name)))
    assert record.metadata["truncated"] == "image"
    shown = unquote(record.metadata["image"], errors="strict")
    assert name.startswith(shown)
    used = sum(len(word) + len(value) for word, value in record.metadata.items())
    assert METADATA_BYTES - 12 < used <= METADATA_BYTES


@given(st.text(max_size=100), st.integers(min_value=0, max_value=3))
def test_a_column_is_cut_knowingly(text: str, times: int) -> None:
    long = text * times * 400
    columns = fitted({"Image": long, "Chain": "prod"})
    cut = str(columns["Image"])
    assert long.startswith(cut)
    assert len(cut.encode("utf-16-le")) <= 2 * TEXT_UNITS
    assert columns.get("Truncated") == (None if cut == long else "Image")


def test_every_rare_verdict_makes_records_within_the_limits_of_a_row() -> None:
    for sent in awkward_notices():
        for record in records_of(sent):
            size = sum(len(str(value)) * 2 + len(name) * 2 + 16 for name, value in record.columns.items())
            assert size < 1024 * 1024
