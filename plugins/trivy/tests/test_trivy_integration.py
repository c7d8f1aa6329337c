"""A real Trivy, on real images in real registries, alone and with a real Trivy server."""

from __future__ import annotations

import asyncio
import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import debian_image as debian
import pytest
import real_trivy
import registries
from oci_archive import Entry, Image, build_image, layer_tar
from parts import free_port, running
from pydantic import SecretStr
from registries import Registry
from scanguard_trivy.config import TrivyConfig
from scanguard_trivy.scanner import TrivyScanner

from scanguard.errors import ScanError, ScannerAuthError, ScannerUnavailableError, ScanTargetNotFoundError
from scanguard.hooks import PluginContext, ScanRequest
from scanguard.http import HttpFactory
from scanguard.model.image import ResolvedImage
from scanguard.model.report import ScanReport
from scanguard.model.severity import Severity
from scanguard.oci.client import ImageClient
from scanguard.oci.credentials import CredentialChain, RegistryCredential
from scanguard.oci.settings import RegistrySettings
from scanguard.testing.answering import answering
from scanguard.testing.contexts import make_context
from scanguard.testing.contracts.probes import child_processes
from scanguard.testing.images import build_image as build_local
from scanguard.testing.images import write_oci_archive, write_oci_folder

pytestmark = [pytest.mark.integration, pytest.mark.timeout(real_trivy.BUILD_TIMEOUT_S)]

APK = b"""P:musl
V:1.1.20-r4
A:x86_64
o:musl
L:MIT

P:libcrypto1.1
V:1.1.1b-r1
A:x86_64
o:openssl
L:OpenSSL

"""
GITHUB_TOKEN = "ghp_" + "a1B2" * 9
SITE = "usr/lib/python3/site-packages/Werkzeug-0.14.1.dist-info"
ALPINE = {
    "etc/os-release": b"ID=alpine\nVERSION_ID=3.9.4\n",
    "etc/alpine-release": b"3.9.4\n",
    "lib/apk/db/installed": APK,
    "app/.env": f"GITHUB_TOKEN={GITHUB_TOKEN}\n".encode(),
    "app/Dockerfile": b"FROM alpine:3.9\nRUN apk add curl\n",
    f"{SITE}/METADATA": b"Metadata-Version: 2.0\nName: Werkzeug\nVersion: 0.14.1\nLicense: BSD\n",
}
FOUND = {"CVE-2019-1549", "CVE-2019-1551", "CVE-2019-14697", "CVE-2019-14806"}
"""What the advisories of the database say of these packages."""
EVERYTHING = ["vuln", "secret", "misconfig", "license"]


class Clock:
    """The time, for Trivy has its own."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Known:
    """One credential for every registry."""

    def __init__(self, registry: Registry) -> None:
        self._auth = registry.auth

    async def credential(self, registry: str) -> RegistryCredential | None:
        return RegistryCredential(self._auth[0], SecretStr(self._auth[1])) if self._auth else None


@pytest.fixture(scope="module")
def binary() -> Path:
    return real_trivy.trivy()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_trivy.database_folder(tmp_path_factory.mktemp("database"))


@pytest.fixture(scope="module")
def alpine() -> Image:
    return image_of(ALPINE)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registries.open_registry(tmp_path_factory.mktemp("registry")) as one:
        yield one


def image_of(files: dict[str, bytes]) -> Image:
    entries = [Entry(path, data) for path, data in files.items()]
    return build_image([layer_tar(entries, mtime=0)], created="2024-10-10T00:00:00Z", config={"Cmd": ["sh"]})


def settings_for(registry: Registry | None) -> RegistrySettings:
    """Plain http to this registry and its token server."""
    if registry is None:
        return RegistrySettings()
    if registry.tokens is None:
        return RegistrySettings(insecure=(registry.host,))
    realm = urlsplit(registry.tokens.realm).netloc
    return RegistrySettings(insecure=(registry.host, realm), realms={registry.host: realm})


class Bench:
    """Scans with the real program, with or without the database in its cache."""

    def __init__(self, folder: Path, binary: Path) -> None:
        self._folder = folder
        self.binary = binary

    def fill(self, database: Path) -> Bench:
        """Put the database into the cache that the next scan takes."""
        shutil.copytree(database, self._folder / "data" / "trivy" / "cache-0" / "db")
        return self

    def context(self, registry: Registry | None = None, **more: Any) -> PluginContext:
        """What the engine lends; knows the registry's credential."""
        known = CredentialChain([Known(registry)] if registry else [])
        images = ImageClient(HttpFactory(), known, settings_for(registry), Clock())
        return make_context(self._folder, images=images, clock=Clock(), **more)

    def scanner(self, context: PluginContext, **options: Any) -> TrivyScanner:
        """The scanner; nothing is downloaded."""
        fixed = {"binary": str(self.binary), "update_databases": False, "work_dir": str(self._folder / "work")}
        return TrivyScanner(TrivyConfig.model_validate({**fixed, **options}), context)

    async def scan(
        self, name: str, registry: Registry | None = None, context: PluginContext | None = None, **options: Any
    ) -> ScanReport:
        """Resolve and scan; afterwards nothing is left in the folder it worked in."""
        lent = context or self.context(registry)
        try:
            return await self.scan_image(await lent.images.resolve(name), lent, **options)
        finally:
            await lent.images.aclose()

    async def scan_image(self, image: ResolvedImage, context: PluginContext, **options: Any) -> ScanReport:
        """Scan."""
        request = ScanRequest(key="k", image=image, deadline=Clock().now() + timedelta(minutes=5))
        try:
            return await self.scanner(context, **options).submit(request)
        finally:
            assert list((self._folder / "work").glob("*")) == []


@pytest.fixture
def bench(tmp_path: Path, binary: Path) -> Bench:
    return Bench(tmp_path, binary)


def assert_everything_was_found(report: ScanReport) -> None:
    assert {finding.id for finding in report.findings} == FOUND
    crypto = next(finding for finding in report.findings if finding.id == "CVE-2019-1549")
    assert (crypto.package.source_name, crypto.fixed_versions) == ("openssl", ("1.1.1d-r0",))
    assert crypto.severity is Severity.MEDIUM
    assert report.confirmed
    assert [item.subject for item in report.coverage.items] == ["alpine 3.9.4", "python-pkg"]
    assert [item.packages for item in report.coverage.items] == [2, 1]
    assert "end of support" in report.coverage.gaps[0].detail
    assert [(secret.rule, secret.path, secret.line) for secret in report.secrets] == [("github-pat", "app/.env", 1)]
    checks = {check.id: check.passed for check in report.compliance}
    assert checks["DS-0002"] is False
    assert checks["license:MIT:musl"] is True
    assert GITHUB_TOKEN not in report.model_dump_json()


async def test_vulnerabilities_secrets_misconfigurations_and_licences_are_found(
    bench: Bench, database: Path, registry: Registry, alpine: Image
) -> None:
    digest = registry.push(alpine, "shop/web", "1")
    report = await bench.fill(database).scan(f"{registry.host}/shop/web:1", registry, scanners=EVERYTHING)

    assert report.digest == digest
    assert report.scanner.database_updated_at is not None
    assert_everything_was_found(report)


@pytest.mark.parametrize(
    "start", [pytest.param(registries.basic_registry, id="basic"), pytest.param(registries.token_registry, id="token")]
)
async def test_a_registry_that_wants_credentials_gets_them(
    bench: Bench, database: Path, tmp_path: Path, alpine: Image, start: Callable[[Path], Any]
) -> None:
    with start(tmp_path) as registry:
        registry.push(alpine, "shop/web", "1")
        report = await bench.fill(database).scan(f"{registry.host}/shop/web:1", registry)

    assert {finding.id for finding in report.findings} == FOUND


async def test_a_wrong_password_is_told_apart_from_a_missing_image(
    bench: Bench, database: Path, tmp_path: Path, alpine: Image
) -> None:
    with registries.basic_registry(tmp_path) as registry:
        registry.push(alpine, "shop/web", "1")
        bench.fill(database)
        context = bench.context(registry)
        image = await context.images.resolve(f"{registry.host}/shop/web:1")
        gone = image.model_copy(update={"source": f"{registry.host}/shop/web@sha256:{'0' * 64}"})

        with pytest.raises(ScannerAuthError):
            await bench.scan_image(image, bench.context(Registry(registry.host, auth=("shop", "wrong"))))
        with pytest.raises(ScanTargetNotFoundError):
            await bench.scan_image(gone, context)
        await context.images.aclose()


async def test_a_debian_root_with_old_python_packages_is_read_wholly(
    bench: Bench, database: Path, registry: Registry
) -> None:
    registry.push(debian.debian_image(), "rig/debian", "12")
    report = await bench.fill(database).scan(f"{registry.host}/rig/debian:12", registry, scanners=["vuln", "license"])

    covered = {item.subject: item.packages or 0 for item in report.coverage.items}
    (system,) = [subject for subject in covered if subject.startswith("debian 12")]
    assert covered[system] > 80
    assert covered["python-pkg"] >= len(debian.OLD_PACKAGES)
    assert "CVE-2019-14806" in {finding.id for finding in report.findings if finding.package.name == "Werkzeug"}
    assert len([check for check in report.compliance if check.id.startswith("license:")]) > 50


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
async def test_an_image_of_this_machine_gives_the_same(bench: Bench, database: Path, tmp_path: Path, kind: str) -> None:
    image = build_local([{**ALPINE}])
    other = build_local([{"etc/os-release": b"ID=debian\nVERSION_ID=10\n"}])
    place = tmp_path / "image:1"
    if kind == "oci":
        name = f"oci:{write_oci_folder(place, {'a': other, 'b': image})}:b"
    elif kind == "oci-archive":
        name = f"oci-archive:{write_oci_archive(place, {'a': other, 'b': image})}:b"
    else:
        name = f"docker-archive:{image.write_docker_archive(place, 'shop/web:1')}"

    assert_everything_was_found(await bench.fill(database).scan(name, scanners=EVERYTHING))


async def test_a_server_matches_with_its_database_and_wants_its_token(
    bench: Bench, database: Path, registry: Registry, alpine: Image, tmp_path: Path
) -> None:
    registry.push(alpine, "shop/web", "1")
    shutil.copytree(database, tmp_path / "server" / "db")
    port = free_port()
    command = [str(bench.binary), "server", "--listen", f"127.0.0.1:{port}", "--skip-db-update"]
    env = {"HOME": str(tmp_path), "TRIVY_CACHE_DIR": str(tmp_path / "server"), "TRIVY_TOKEN": "right"}
    options = {"server": f"http://127.0.0.1:{port}", "server_token": "env:TOKEN"}
    name = f"{registry.host}/shop/web:1"
    with running(command, port=port, log=tmp_path / "server.log", env=env):
        right = bench.context(registry, secrets={"env:TOKEN": "right"})
        report = await bench.scan(name, registry, right, **options)
        with pytest.raises(ScannerAuthError, match="refuses the token"):
            await bench.scan(name, registry, bench.context(registry, secrets={"env:TOKEN": "wrong"}), **options)

    assert {finding.id for finding in report.findings} == FOUND
    assert report.scanner.database == f"trivy-db of http://127.0.0.1:{port}"
    assert report.scanner.database_updated_at is not None


async def test_what_is_not_recognised_is_not_clean(bench: Bench, database: Path, registry: Registry) -> None:
    registry.push(image_of({"app/program": b"\x7fELF"}), "shop/scratch", "1")
    report = await bench.fill(database).scan(f"{registry.host}/shop/scratch:1", registry)

    assert report.findings == ()
    assert [item.subject for item in report.coverage.gaps] == ["operating system"]


async def test_without_a_vulnerability_database_there_is_no_report(
    bench: Bench, registry: Registry, alpine: Image
) -> None:
    registry.push(alpine, "shop/web", "1")

    with pytest.raises(ScannerUnavailableError, match="no vulnerability database"):
        await bench.scan(f"{registry.host}/shop/web:1", registry)


async def test_without_a_java_database_an_image_with_archives_gives_no_report(
    bench: Bench, database: Path, registry: Registry
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as jar:
        jar.writestr("a.txt", "a")
    registry.push(image_of({**ALPINE, "app/x.jar": archive.getvalue()}), "shop/java", "1")

    with pytest.raises(ScannerUnavailableError, match="no Java database"):
        await bench.fill(database).scan(f"{registry.host}/shop/java:1", registry)


async def test_a_mirror_that_does_not_have_the_database_is_no_missing_image(
    bench: Bench, registry: Registry, alpine: Image
) -> None:
    registry.push(alpine, "shop/web", "1")
    options: dict[str, Any] = {
        "update_databases": True,
        "database_repositories": [f"{registry.host}/mirror/trivy-db:2"],
    }

    with pytest.raises(ScannerUnavailableError, match="download of the vulnerability database failed"):
        await bench.scan(f"{registry.host}/shop/web:1", registry, **options)


async def test_an_image_that_is_too_large_is_refused(
    bench: Bench, database: Path, registry: Registry, alpine: Image
) -> None:
    registry.push(alpine, "shop/web", "1")

    with pytest.raises(ScanError, match="larger than max_image_bytes"):
        await bench.fill(database).scan(f"{registry.host}/shop/web:1", registry, max_image_bytes=10)


async def test_a_scan_that_is_cancelled_while_a_registry_is_silent_leaves_no_process(
    bench: Bench, database: Path, registry: Registry, alpine: Image
) -> None:
    registry.push(alpine, "shop/web", "1")
    context = bench.fill(database).context(registry)
    image = await context.images.resolve(f"{registry.host}/shop/web:1")
    await context.images.aclose()
    before = child_processes()
    with answering(hangs=True) as url:
        silent = image.model_copy(update={"source": image.source.replace(registry.host, url.removeprefix("http://"))})
        scan = asyncio.ensure_future(bench.scan_image(silent, bench.context(registry)))
        await asyncio.sleep(0.4)
        assert child_processes() > before, "the program does not run yet, so nothing was tried"
        scan.cancel()
        with pytest.raises(asyncio.CancelledError):
            await scan

    assert child_processes() == before
