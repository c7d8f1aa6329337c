"""The queries that docs/azure/results.md shows, run as they are printed there, on a real Azurite."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import TableServiceClient
from results_account import ResultsAccount, image, notice, unlooked

from scanguard.model.verdict import Outcome
from scanguard.testing.samples import sample_finding, sample_image_verdict, sample_report

pytestmark = pytest.mark.integration
GUIDE = (Path(__file__).parents[3] / "docs" / "azure" / "results.md").read_text(encoding="utf-8")
CODE = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)[1:]
FILTERS = re.findall(r"--table-name (\w+) \\\n\s+--filter \"(.*)\"$", GUIDE, re.MULTILINE)
NGINX = "docker.io/library/nginx:latest"
LOW = sample_report(findings=[sample_finding("CVE-1", "LOW", "tar", installed="1")])


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


@pytest.fixture
async def filled(account: ResultsAccount, tmp_path: Path) -> ResultsAccount:
    """Two deployments of nginx, one before the days that are asked for; one severe, one harmless, one not looked at."""
    mild = sample_image_verdict(LOW, Outcome.PASS, name="shop.example/mild:1")
    harmless = notice(mild, name="harmless", decided_at=at(15, 7))
    harmless = type(harmless)(key=harmless.key, verdict=harmless.verdict, reports={str(mild.merged): LOW})
    async with account.sink(tmp_path) as sink:
        for name, moment, seen in (
            ("old", at(14, 23), image("nginx")),
            ("early", at(15, 5), image("shop.example/web:1")),
            ("new", at(16, 1), image(NGINX)),
            ("lost", at(15, 8), unlooked("nginxx")),
        ):
            sent = notice(seen, name=name, decided_at=moment)
            looked_at = sent.verdict.deployment.model_copy(update={"seen_at": moment})
            await sink.write(notice(seen, name=name, decided_at=moment, deployment=looked_at))
        await sink.write(harmless)
    return account


def names(rows: Any) -> list[str]:
    return [str(row["ResourceId"]).rpartition("/")[2] for row in rows]


IMAGE, RECENT, SEVERE, SEVERE_EVER = (
    ["new", "old"],
    ["lost", "harmless", "new"],
    ["early", "new"],
    ["early", "new", "old"],
)


@pytest.mark.parametrize(
    ("code", "expected"),
    [*zip(CODE, [IMAGE, RECENT, SEVERE, SEVERE_EVER], strict=True)],
    ids=["image", "recent", "severe", "severe-ever"],
)
async def test_the_python_of_the_guide_finds_what_it_says(
    filled: ResultsAccount, code: str, expected: list[str]
) -> None:
    with TableServiceClient.from_connection_string(filled.connection_string) as service:
        scope: dict[str, Any] = {
            "scans": service.get_table_client(filled.name),
            "recent": service.get_table_client(f"{filled.name}Recent"),
        }
        exec(code, scope)  # noqa: S102  # our own guide
        found = names(scope["found"])
    assert (found if expected is not SEVERE_EVER else sorted(found)) == expected


@pytest.mark.parametrize(
    ("shown", "expected"),
    [*zip(FILTERS, [IMAGE, IMAGE, RECENT, SEVERE, SEVERE_EVER], strict=True)],
    ids=["image", "image-by-prefix", "recent", "severe", "severe-ever"],
)
async def test_the_filters_of_the_guide_find_the_same(
    filled: ResultsAccount, shown: tuple[str, str], expected: list[str]
) -> None:
    table, query = shown
    assert table in {"ScanMetadata", "ScanMetadataRecent"}
    found = names(await filled.rows(query, recent=table == "ScanMetadataRecent"))
    assert (found if expected is not SEVERE_EVER else sorted(found)) == expected


async def test_recent_scans_by_time_alone_are_the_same(filled: ResultsAccount) -> None:
    found = names(await filled.rows("ScannedAt ge datetime'2026-01-15T06:00:00Z'"))
    assert sorted(found) == sorted(RECENT)


async def test_what_was_not_looked_at_counts_nowhere_but_as_failed(filled: ResultsAccount) -> None:
    assert names(await filled.rows("Status eq 'FAILED'")) == ["lost"]
    assert names(await filled.rows("VulnTotal eq 0")) == []


def columns_of(rows: list[Mapping[str, Any]]) -> set[str]:
    return {name for row in rows for name in row}


async def test_the_guide_lists_every_column(filled: ResultsAccount) -> None:
    listed = set(
        re.findall(
            r"`(\w+)`", "".join(re.findall(r"^\| (`[A-Z].*?) \| (?:String|Int32|DateTime)", GUIDE, re.MULTILINE))
        )
    )
    rows: list[Mapping[str, Any]] = [*await filled.rows()]
    assert columns_of(rows) | {"Truncated"} == listed
    by_day: list[Mapping[str, Any]] = [*await filled.rows(recent=True)]
    assert columns_of(by_day) - columns_of(rows) == {"ImageKey"}
