"""The contract of reports and records."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scanguard.model.deployment import Container, Deployment, Event
from scanguard.model.image import Platform, ResolvedImage
from scanguard.model.severity import Severity
from scanguard.model.verdict import ChainChoice, ImageVerdict, Outcome, Verdict
from scanguard.ports import RecordQuery
from scanguard.testing.contracts.bench import NOW, Bench


def _verdict(name: str, resource: str, image: str, *, minute: int = 0, revision: int = 1, high: int = 0) -> Verdict:
    at = NOW + timedelta(minutes=minute)
    digest = "sha256:" + f"{sum(image.encode()):x}".rjust(64, "0")
    resolved = ResolvedImage(
        name=image, source=f"oci:{image}", reference=None, digest=digest, platform=Platform(), resolved_at=at
    )
    return Verdict(
        id=name,
        revision=revision,
        outcome=Outcome.FAIL if high else Outcome.PASS,
        deployment=Deployment(
            resource_id=resource, kind="image", name="n", containers=(Container(name="c", image=image),), seen_at=at
        ),
        event=Event(id=name, source="s", type="t", resource_id=resource, time=at),
        chain=ChainChoice(name="default"),
        images=(
            ImageVerdict(
                container="c",
                name=image,
                image=resolved,
                counts={Severity.HIGH: high, Severity.LOW: 1},
                outcome=Outcome.PASS,
            ),
        ),
        decided_at=at,
    )


class ReportsContract:
    """Big documents by name."""

    @pytest.mark.asyncio
    async def test_documents_are_stored_whole_and_replaced(self, bench: Bench) -> None:
        reports = bench.ports.reports
        assert await reports.get("scans/a/b.json") is None
        await reports.put("scans/a/b.json", b"1")
        await reports.put("scans/a/b.json", b"22")
        assert await reports.get("scans/a/b.json") == b"22"


class RecordsContract:
    """Verdicts, for people who ask later."""

    @pytest.mark.asyncio
    async def test_verdicts_are_found_by_id_image_resource_time_and_severity(self, bench: Bench) -> None:
        records = bench.ports.records
        for one in (
            _verdict("aa", "/R", "app:1"),
            _verdict("ab", "/r", "app:2", minute=1, high=2),
            _verdict("b", "/q", "app:1", minute=2),
        ):
            await records.save(one)

        async def ids(**query: object) -> list[str]:
            return [v.id for v in await records.query(RecordQuery(**query))]  # type: ignore[arg-type]  # any field

        assert await ids() == ["b", "ab", "aa"]
        assert await ids(id="a") == ["ab", "aa"]
        assert await ids(resource="/r") == ["ab", "aa"]
        assert await ids(resource="/r", latest_only=True) == ["ab"]
        assert await ids(image="app:1") == ["b", "aa"]
        assert await ids(image="oci:app:2") == ["ab"]
        assert await ids(since=NOW + timedelta(minutes=1)) == ["b", "ab"]
        assert await ids(severity=Severity.HIGH) == ["ab"]
        assert await ids(severity=Severity.LOW) == ["b", "ab", "aa"]
        assert await ids(limit=1) == ["b"]
        previous = await records.previous("/R", "ab")
        assert previous is not None
        assert previous.id == "aa"
        assert await records.previous("/q", "b") is None

    @pytest.mark.asyncio
    async def test_a_lower_revision_never_hides_a_higher_one(self, bench: Bench) -> None:
        await bench.ports.records.save(_verdict("a", "/r", "app:1", revision=2, high=1))
        await bench.ports.records.save(_verdict("a", "/r", "app:1", revision=1))
        (stored,) = await bench.ports.records.query(RecordQuery(id="a"))
        assert stored.revision == 2
        assert stored.outcome is Outcome.FAIL

    @pytest.mark.asyncio
    async def test_a_vulnerability_finds_only_deployments_whose_latest_image_has_it(self, bench: Bench) -> None:
        records = bench.ports.records
        old, new, other = _verdict("a", "/r", "v1"), _verdict("b", "/r", "v2", minute=1), _verdict("c", "/o", "v1")
        for one in (old, new, other):
            await records.save(one)
        assert old.images[0].image is not None
        await records.index(old.images[0].image.digest, ["CVE-1", "GHSA-abcd"])
        assert [v.id for v in await records.query(RecordQuery(vulnerability="ghsa-ABCD"))] == ["c"]
        await records.index(old.images[0].image.digest, [])
        assert await records.query(RecordQuery(vulnerability="CVE-1")) == []
