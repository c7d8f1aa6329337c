"""Whole scans with a program that stands for Trivy: what it is given, what it leaves behind, what comes of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_trivy import REFERENCE, FakeTrivy, database_made, is_running, remote_image, report_with
from pydantic import SecretStr
from scanguard_trivy.caches import own_cache
from scanguard_trivy.config import TrivyConfig
from scanguard_trivy.scanner import TrivyScanner

from scanguard.errors import (
    ConfigError,
    ImageCorruptError,
    PluginContractError,
    ScannerUnavailableError,
    ScanTimeoutError,
)
from scanguard.hooks import PluginContext, ScanRequest, Ticket
from scanguard.http import HttpFactory
from scanguard.model.report import ScanReport
from scanguard.oci.client import ImageClient
from scanguard.oci.credentials import CredentialChain, RegistryCredential
from scanguard.oci.settings import RegistrySettings
from scanguard.testing.answering import answering
from scanguard.testing.contracts import CANARY, CANARY_REFERENCE
from scanguard.testing.images import build_image, write_oci_archive, write_oci_folder
from scanguard.testing.memory import ManualClock
from scanguard.testing.samples import NOW

Lend = Callable[..., PluginContext]
Ask = Callable[..., ScanRequest]
MIRROR = "acme.azurecr.io/trivy-db:2"
OTHER = "ghcr.io/aquasecurity/trivy-db:2"
ROBOT = RegistryCredential("robot", SecretStr(CANARY))


def scanner(trivy: FakeTrivy, context: PluginContext, **options: Any) -> TrivyScanner:
    return TrivyScanner(TrivyConfig.model_validate(trivy.config(**options)), context)


def cache_of(context: PluginContext, number: int = 0) -> Path:
    return context.data_dir / "trivy" / f"cache-{number}"


def put_database(context: PluginContext, name: str = "db", **made: Any) -> None:
    folder = cache_of(context) / name
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text(json.dumps(database_made(**made)))


async def until(is_so: Callable[[], bool]) -> None:
    """Wait, for seconds at most, for what another process does."""
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_a_scan_gives_the_report_with_the_tool_and_the_age_of_its_database(
    trivy: FakeTrivy, lend: Lend, request_for: Ask
) -> None:
    report = await scanner(trivy, lend()).submit(request_for())

    assert [finding.id for finding in report.findings] == ["CVE-2019-14697"]
    assert (report.scanner.tool, report.scanner.version, report.scanner.database) == ("trivy", "0.69.3", "trivy-db")
    assert report.scanner.database_updated_at == NOW - timedelta(hours=1)
    assert report.confirmed
    assert report.coverage.is_complete


async def test_nothing_is_left_of_a_scan_but_its_cache(
    trivy: FakeTrivy, lend: Lend, request_for: Ask, temp: Path
) -> None:
    context = lend()
    await scanner(trivy, context, work_dir=str(temp)).submit(request_for())

    assert left_in(temp) == []
    assert (cache_of(context) / "db" / "metadata.json").exists()


async def test_the_program_gets_an_empty_folder_and_nothing_of_our_environment(
    trivy: FakeTrivy, lend: Lend, request_for: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TRIVY_IGNOREFILE", "AZURE_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "canary")
    await scanner(trivy, lend()).submit(request_for())

    for asked in trivy.asked:
        assert asked["in_cwd"] == []
        assert asked["env"]["HOME"] == asked["env"]["DOCKER_CONFIG"] == asked["cwd"]
        assert "canary" not in asked["env"].values()
        assert "PATH" not in asked["env"]


async def test_the_images_credential_is_shown_for_the_scan_alone_and_never_in_arguments(
    trivy: FakeTrivy, lend: Lend, request_for: Ask
) -> None:
    await scanner(trivy, lend(credentials={"registry.example": ROBOT})).submit(request_for())

    (scan,) = trivy.scans
    assert (scan["env"]["TRIVY_USERNAME"], scan["env"]["TRIVY_PASSWORD"]) == ("robot", CANARY)
    assert scan["arguments"][-1] == REFERENCE
    assert len(trivy.downloads) == 1
    others = [one for one in trivy.asked if one != scan]
    assert len(others) == 3
    assert CANARY not in json.dumps([scan["arguments"], others])


async def test_a_password_that_cannot_travel_in_the_environment_travels_by_input(
    trivy: FakeTrivy, lend: Lend, request_for: Ask
) -> None:
    spaced = RegistryCredential("robot", SecretStr(f"{CANARY} {CANARY}"))
    await scanner(trivy, lend(credentials={"registry.example": spaced})).submit(request_for())

    (scan,) = trivy.scans
    assert scan["stdin"] == f"{CANARY} {CANARY}\n"
    assert "TRIVY_PASSWORD" not in scan["env"]


async def test_a_mirror_of_the_database_gets_its_own_credential(trivy: FakeTrivy, lend: Lend, request_for: Ask) -> None:
    context = lend(credentials={"acme.azurecr.io": ROBOT})
    await scanner(trivy, context, database_repositories=[MIRROR]).submit(request_for())

    (download,), (scan,) = trivy.downloads, trivy.scans
    assert f"--db-repository={MIRROR}" in download["arguments"]
    assert download["env"]["TRIVY_PASSWORD"] == CANARY
    assert "TRIVY_PASSWORD" not in scan["env"]


async def test_a_database_is_downloaded_once_and_again_when_it_is_due(
    trivy: FakeTrivy, lend: Lend, request_for: Ask
) -> None:
    clock = ManualClock(NOW)
    tested = scanner(trivy, lend(clock=clock))
    await tested.submit(request_for())
    await tested.submit(request_for(deadline_s=86_400))
    assert len(trivy.downloads) == 1

    clock.advance(timedelta(hours=7).total_seconds())
    await tested.submit(request_for(deadline_s=86_400))
    assert len(trivy.downloads) == 2


async def test_a_repository_that_fails_is_followed_by_the_next(trivy: FakeTrivy, lend: Lend, request_for: Ask) -> None:
    trivy.plan(downloads={MIRROR: {"status": 1, "stderr": "x\tFATAL\tUNAUTHORIZED"}})
    report = await scanner(trivy, lend(), database_repositories=[MIRROR, OTHER]).submit(request_for())

    assert [one["arguments"][2] for one in trivy.downloads] == [f"--db-repository={MIRROR}", f"--db-repository={OTHER}"]
    assert report.findings


async def test_without_any_database_there_is_no_report(trivy: FakeTrivy, lend: Lend, request_for: Ask) -> None:
    trivy.plan(downloads={OTHER: {"status": 1, "stderr": "x\tFATAL\tMANIFEST_UNKNOWN"}})

    with pytest.raises(ScannerUnavailableError, match="download of the vulnerability database failed"):
        await scanner(trivy, lend(), database_repositories=[OTHER]).submit(request_for())
    assert trivy.scans == []


async def test_a_database_that_cannot_be_renewed_is_used_and_its_age_told(
    trivy: FakeTrivy, lend: Lend, request_for: Ask
) -> None:
    context = lend()
    put_database(context, ago=timedelta(days=9), due_in=timedelta(days=-9))
    trivy.plan(downloads={OTHER: {"status": 1}})
    report = await scanner(trivy, context, database_repositories=[OTHER]).submit(request_for())

    (gap,) = report.coverage.gaps
    assert "9 days old" in gap.detail


@pytest.mark.parametrize(
    ("options", "offline"),
    [
        pytest.param({"update_databases": False}, False, id="switched off"),
        pytest.param({}, True, id="the user is offline"),
    ],
)
async def test_nothing_is_downloaded_where_nothing_may_be(
    trivy: FakeTrivy, lend: Lend, request_for: Ask, options: dict[str, Any], offline: bool
) -> None:
    context = lend(offline=offline)
    tested = scanner(trivy, context, **options)
    with pytest.raises(ScannerUnavailableError, match="none may be downloaded"):
        await tested.submit(request_for())

    put_database(context, ago=timedelta(hours=1), due_in=timedelta(hours=-1))
    assert (await tested.submit(request_for())).findings
    assert trivy.downloads == []


async def test_the_java_database_is_downloaded_when_an_image_turns_out_to_need_it(
    trivy: FakeTrivy, lend: Lend, request_for: Ask
) -> None:
    trivy.plan(has_jars=True)
    tested = scanner(trivy, lend())
    report = await tested.submit(request_for())
    await tested.submit(request_for())

    assert report.findings
    assert [one["arguments"][1] for one in trivy.downloads] == ["--download-db-only", "--download-java-db-only"]
    assert len(trivy.scans) == 3


async def test_java_archives_without_a_database_give_no_report(trivy: FakeTrivy, lend: Lend, request_for: Ask) -> None:
    context = lend()
    put_database(context, ago=timedelta(hours=1))
    trivy.plan(has_jars=True)

    with pytest.raises(ScannerUnavailableError, match="no Java database"):
        await scanner(trivy, context, update_databases=False).submit(request_for())


async def test_secrets_alone_need_no_database(trivy: FakeTrivy, lend: Lend, request_for: Ask) -> None:
    report = await scanner(trivy, lend(), scanners=["secret"]).submit(request_for())

    assert trivy.downloads == []
    assert not report.coverage.is_complete


async def test_scans_at_the_same_time_never_share_a_cache(trivy: FakeTrivy, lend: Lend, request_for: Ask) -> None:
    trivy.plan(steps={"sleep": 0.1})
    tested, context = scanner(trivy, lend()), lend()
    await asyncio.gather(*(tested.submit(request_for()) for _ in range(3)))

    used = [one["env"]["TRIVY_CACHE_DIR"] for one in trivy.scans]
    assert sorted(used) == [str(cache_of(context, number)) for number in range(3)]


def test_a_cache_is_given_back_and_taken_again(tmp_path: Path) -> None:
    with own_cache(tmp_path) as first, own_cache(tmp_path) as second:
        assert first != second
    with own_cache(tmp_path) as again:
        assert again == first


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ScannerUnavailableError, match="set cache_dir"), own_cache(tmp_path / "file"):
        pass


async def test_a_cancelled_scan_leaves_no_process_no_folder_and_no_lock(
    trivy: FakeTrivy, lend: Lend, request_for: Ask, temp: Path
) -> None:
    context = lend()
    put_database(context, ago=timedelta(hours=1))
    trivy.plan(steps={"spawn": True, "touch": True, "sleep": 30})
    scan = asyncio.ensure_future(scanner(trivy, context, work_dir=str(temp)).submit(request_for()))
    await until((trivy.folder / "started").exists)
    scan.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scan

    pid = int((trivy.folder / "child.pid").read_text())
    await until(lambda: not is_running(pid))
    assert left_in(temp) == []
    with own_cache(context.data_dir / "trivy") as cache:
        assert cache == cache_of(context)


async def test_a_scan_ends_at_the_engines_deadline(trivy: FakeTrivy, lend: Lend, request_for: Ask) -> None:
    context = lend()
    put_database(context, ago=timedelta(hours=1))
    trivy.plan(steps={"sleep": 30})

    with pytest.raises(ScanTimeoutError, match=r"did not end within 0\.3 s"):
        await scanner(trivy, context).submit(request_for(deadline_s=0.3))


async def test_a_scan_whose_deadline_has_passed_is_not_begun(trivy: FakeTrivy, lend: Lend, request_for: Ask) -> None:
    with pytest.raises(ScanTimeoutError, match="deadline has passed"):
        await scanner(trivy, lend()).submit(request_for(deadline_s=0))
    assert trivy.scans == []


async def test_a_pinned_program_runs_and_a_changed_one_never_does(
    trivy: FakeTrivy, lend: Lend, request_for: Ask
) -> None:
    pinned = hashlib.sha256(trivy.path.read_bytes()).hexdigest()
    tested = scanner(trivy, lend(), binary_sha256=pinned)
    assert (await tested.submit(request_for())).findings

    runs = len(trivy.asked)
    trivy.path.write_text(trivy.path.read_text() + "\n# changed\n")
    with pytest.raises(ScannerUnavailableError, match="not the program that binary_sha256 pins"):
        await tested.submit(request_for())
    assert len(trivy.asked) == runs


async def test_a_program_is_found_on_the_path(
    trivy: FakeTrivy, lend: Lend, request_for: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(trivy.folder))
    report = await TrivyScanner(TrivyConfig(), lend()).submit(request_for())

    assert report.findings


# --- with a server ----------------------------------------------------------------------------------------


async def test_with_a_server_its_database_is_told_its_token_is_hidden_and_none_is_downloaded(
    trivy: FakeTrivy, lend: Lend, request_for: Ask
) -> None:
    told = {"Version": "0.69.3", "VulnerabilityDB": database_made(timedelta(hours=3))}
    with answering(200, json.dumps(told).encode()) as url:
        tested = scanner(trivy, lend(), server=url, server_token=CANARY_REFERENCE)
        report = await tested.submit(request_for())

    (scan,) = trivy.scans
    assert f"--server={url}" in scan["arguments"]
    assert scan["env"]["TRIVY_TOKEN"] == CANARY
    assert CANARY not in " ".join(scan["arguments"])
    assert trivy.downloads == []
    assert report.scanner.database_updated_at == NOW - timedelta(hours=3)
    assert report.scanner.database == f"trivy-db of {url}"


async def test_a_server_without_a_database_is_no_covered_image(trivy: FakeTrivy, lend: Lend, request_for: Ask) -> None:
    with answering(200, b'{"Version":"0.69.3"}') as url:
        report = await scanner(trivy, lend(), server=url).submit(request_for())

    assert [item.detail for item in report.coverage.gaps] == ["the age of the vulnerability database is not known"]


def test_a_server_is_no_use_offline(trivy: FakeTrivy, lend: Lend) -> None:
    with pytest.raises(ConfigError, match="no network may be used"):
        scanner(trivy, lend(offline=True), server="http://trivy:4954")


# --- images of this machine -------------------------------------------------------------------------------


IMAGE = build_image([{"etc/os-release": b"ID=alpine\n"}])
OTHER_IMAGE = build_image([{"other": b"x"}])


@pytest.fixture
def images() -> ImageClient:
    return ImageClient(HttpFactory(), CredentialChain([]), RegistrySettings(), ManualClock(NOW))


def write(kind: str, place: Path) -> str:
    """Write an image, beside another where the kind can hold several; its name."""
    if kind == "oci":
        return f"oci:{write_oci_folder(place, {'a': OTHER_IMAGE, 'b': IMAGE})}:b"
    if kind == "oci-archive":
        return f"oci-archive:{write_oci_archive(place, {'a': OTHER_IMAGE, 'b': IMAGE})}:b"
    return f"docker-archive:{IMAGE.write_docker_archive(place, 'shop/web:1')}"


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
async def test_an_image_of_this_machine_is_copied_alone_and_confirmed(
    trivy: FakeTrivy, lend: Lend, request_for: Ask, images: ImageClient, kind: str
) -> None:
    context = lend(images=images)
    resolved = await images.resolve(write(kind, context.config_dir / "with:colon"))
    report = await scanner(trivy, context).submit(request_for(resolved))

    (scan,) = trivy.scans
    assert scan["arguments"][-1].startswith("--input=")
    assert not [key for key in scan["env"] if key in ("TRIVY_USERNAME", "TRIVY_PASSWORD")]
    assert report.confirmed
    assert report.findings


async def test_an_image_of_this_machine_that_was_changed_is_refused(
    trivy: FakeTrivy, lend: Lend, request_for: Ask, images: ImageClient
) -> None:
    context = lend(images=images)
    folder = context.config_dir / "image"
    resolved = await images.resolve(write("oci", folder))
    layer = folder / "blobs" / IMAGE.layers[0].replace(":", "/")
    layer.write_bytes(bytes(layer.stat().st_size))

    with pytest.raises(ImageCorruptError, match="holds other bytes"):
        await scanner(trivy, context).submit(request_for(resolved))
    assert trivy.scans == []


# --- beside scans -----------------------------------------------------------------------------------------


async def test_the_tool_is_told_without_a_scan(trivy: FakeTrivy, lend: Lend) -> None:
    context = lend()
    put_database(context, ago=timedelta(hours=2))
    info = await scanner(trivy, context).info()

    assert (info.tool, info.version, info.database_updated_at) == ("trivy", "0.69.3", NOW - timedelta(hours=2))
    assert (trivy.scans, trivy.downloads) == ([], [])


async def test_a_check_scans_and_downloads_nothing(trivy: FakeTrivy, lend: Lend) -> None:
    await scanner(trivy, lend()).check()

    assert (trivy.scans, trivy.downloads) == ([], [])


@pytest.mark.parametrize(
    ("plan", "options"),
    [
        pytest.param({"version": "0.69.4"}, {}, id="a malicious release"),
        pytest.param({}, {"update_databases": False}, id="no database"),
        pytest.param({}, {"server": "http://127.0.0.1:9"}, id="no server"),
        pytest.param({}, {"binary": "/no/such/trivy"}, id="no program"),
    ],
)
async def test_a_check_finds_what_is_in_the_way(
    trivy: FakeTrivy, lend: Lend, plan: dict[str, Any], options: dict[str, Any]
) -> None:
    trivy.plan(**plan)

    with pytest.raises(ScannerUnavailableError):
        await scanner(trivy, lend(), **options).check()


async def test_there_are_no_tickets(trivy: FakeTrivy, lend: Lend, request_for: Ask) -> None:
    tested = scanner(trivy, lend())

    assert await tested.find(request_for()) is None
    with pytest.raises(PluginContractError):
        await tested.poll(Ticket(value={}, not_before=NOW))


async def test_an_image_in_which_nothing_is_recognised_is_not_clean(
    trivy: FakeTrivy, lend: Lend, request_for: Ask
) -> None:
    trivy.plan(report=report_with(OS={"Family": "none", "Name": ""}))
    report: ScanReport = await scanner(trivy, lend()).submit(request_for(remote_image()))

    assert report.findings == ()
    assert not report.coverage.is_complete
