"""The contract of reports and records."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from scanguard.model.deployment import Container, Deployment, Event
from scanguard.model.image import Platform, ResolvedImage
from scanguard.model.severity import Severity
from scanguard.model.verdict import ChainChoice, ImageVerdict, Outcome, Verdict
from scanguard.ports import RecordQuery
from scanguard.testing.contracts.bench import NOW, Bench


def sample_judgement(
    name: str, resource: str, image: str, *, minute: int = 0, revision: int = 1, high: int = 0
) -> Verdict:
    """A verdict on one image, ``minute`` minutes after NOW, with ``high`` findings of that severity."""
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

    @pytest.mark.asyncio
    async def test_a_document_is_seen_whole_while_it_is_replaced(self, bench: Bench) -> None:
        reports, old, new = bench.ports.reports, b"1" * 200_000, b"2" * 300_000
        await reports.put("scans/a.json", old)
        seen: set[bytes | None] = set()

        async def look() -> None:
            for _ in range(10):
                seen.add(await reports.get("scans/a.json"))
                await asyncio.sleep(0)

        await asyncio.gather(look(), reports.put("scans/a.json", new), look())
        assert seen <= {old, new}, f"a reader saw {sorted(len(one or b'') for one in seen)} bytes"
        assert await reports.get("scans/a.json") == new

    @pytest.mark.asyncio
    @pytest.mark.parametrize("steps", [0, 1, 3])
    async def test_a_document_whose_writing_is_cut_off_is_the_old_or_the_new_one(
        self, bench: Bench, steps: int
    ) -> None:
        reports, old, new = bench.ports.reports, b"1" * 200_000, b"2" * 300_000
        await reports.put("scans/a.json", old)
        writing = asyncio.ensure_future(reports.put("scans/a.json", new))
        for _ in range(steps):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        found = await reports.get("scans/a.json")
        assert found in (old, new), f"cut off, the document has {len(found or b'')} bytes"


class RecordsContract:
    """Verdicts, for people who ask later."""

    @pytest.mark.asyncio
    async def test_verdicts_are_found_by_id_image_resource_time_and_severity(self, bench: Bench) -> None:
        records = bench.ports.records
        for one in (
            sample_judgement("aa", "/R", "app:1"),
            sample_judgement("ab", "/r", "app:2", minute=1, high=2),
            sample_judgement("b", "/q", "app:1", minute=2),
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
        await bench.ports.records.save(sample_judgement("a", "/r", "app:1", revision=2, high=1))
        await bench.ports.records.save(sample_judgement("a", "/r", "app:1", revision=1))
        (stored,) = await bench.ports.records.query(RecordQuery(id="a"))
        assert stored.revision == 2
        assert stored.outcome is Outcome.FAIL

    @pytest.mark.asyncio
    async def test_a_vulnerability_finds_only_deployments_whose_latest_image_has_it(self, bench: Bench) -> None:
        records = bench.ports.records
        old, new, other = (
            sample_judgement("a", "/r", "v1"),
            sample_judgement("b", "/r", "v2", minute=1),
            sample_judgement("c", "/o", "v1"),
        )
        for one in (old, new, other):
            await records.save(one)
        assert old.images[0].image is not None
        await records.index(old.images[0].image.digest, ["CVE-1", "GHSA-abcd"])
        assert [v.id for v in await records.query(RecordQuery(vulnerability="ghsa-ABCD"))] == ["c"]
        await records.index(old.images[0].image.digest, [])
        assert await records.query(RecordQuery(vulnerability="CVE-1")) == []
