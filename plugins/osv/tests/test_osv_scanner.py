"""Whole scans of images in memory: findings, and how far the scan looked."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest
from pydantic import JsonValue, ValidationError
from scanguard_osv.advisory import Advisory
from scanguard_osv.config import OsvConfig
from scanguard_osv.ecosystem import base_of
from scanguard_osv.scanner import OsvScanner

from scanguard.errors import (
    ConfigError,
    PluginContractError,
    ScanError,
    ScannerAuthError,
    ScannerOutputError,
    ScannerUnavailableError,
)
from scanguard.hooks import PluginContext, ScanRequest, Ticket
from scanguard.model.report import CoverageItem, CoverageStatus, ScanReport
from scanguard.model.severity import Severity
from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

DATA = Path(__file__).parent / "data"
NOW = datetime(2026, 10, 1, tzinfo=UTC)
FRESH = "2026-09-30T00:00:00Z"
OFFLINE = OsvConfig.model_validate({"mode": "offline"})

BOOKWORM = b'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
STATUS = b"""Package: libpam0g
Status: install ok installed
Source: pam
Architecture: amd64
Version: 1.5.2-6+deb12u1

Package: python3-six
Status: install ok installed
Source: six
Version: 1.16.0-4
"""
DEBIAN = {"etc/os-release": BOOKWORM, "var/lib/dpkg/status": STATUS}
JINJA = {"app/lib/python3.12/site-packages/Jinja2-2.4.1.dist-info/METADATA": b"Name: Jinja2\nVersion: 2.4.1\n"}

Files = dict[str, bytes]


class Scan(Protocol):
    """Scans files against an imported database of ADVISORIES, or of ``records``."""

    async def __call__(
        self,
        files: Files,
        *,
        records: list[dict[str, JsonValue]] | None = None,
        extra: tuple[bytes, ...] = (),
        config: OsvConfig = OFFLINE,
        image: dict[str, object] | None = None,
        now: datetime = NOW,
        offline: bool = False,
    ) -> ScanReport: ...


def advisory(osv_id: str, ecosystem: str, name: str, fixed: str = "", **fields: JsonValue) -> dict[str, JsonValue]:
    package: JsonValue = {"ecosystem": ecosystem, "name": name}
    events: list[JsonValue] = [{"introduced": "0"}]
    ranges: JsonValue = [{"type": "ECOSYSTEM", "events": [*events, {"fixed": fixed}] if fixed else events}]
    return {"id": osv_id, "modified": FRESH, "affected": [{"package": package, "ranges": ranges}], **fields}


ADVISORIES = [
    advisory("DEBIAN-CVE-2024-10041", "Debian:12", "pam", upstream=["CVE-2024-10041"]),
    advisory("DEBIAN-CVE-2011-0001", "Debian:11", "pam"),
    advisory("ALPINE-CVE-2024-1111", "Alpine:v3.19", "musl"),
    advisory("PYSEC-1", "PyPI", "jinja2", aliases=["CVE-2016-10745"]),
    advisory("PYSEC-2", "PyPI", "six"),
]


@pytest.fixture
def scan(
    make_context: Callable[..., PluginContext],
    make_database: Callable[..., Path],
    write_export: Callable[..., Path],
    request_: ScanRequest,
) -> Scan:
    async def run(
        files: Files,
        *,
        records: list[dict[str, JsonValue]] | None = None,
        extra: tuple[bytes, ...] = (),
        config: OsvConfig = OFFLINE,
        image: dict[str, object] | None = None,
        now: datetime = NOW,
        offline: bool = False,
    ) -> ScanReport:
        by_base: dict[str, list[dict[str, JsonValue] | bytes]] = {}
        for one in ADVISORIES if records is None else records:
            [package] = Advisory.model_validate(one).packages
            by_base.setdefault(base_of(package.ecosystem), list(extra)).append(one)
        make_database(*(write_export(some, f"{base}.zip") for base, some in by_base.items()))
        scanner = OsvScanner(config, make_context(files, config=image, now=now, offline=offline))
        report = await scanner.submit(request_)
        await scanner.aclose()
        assert isinstance(report, ScanReport)
        return report

    return run


def item(report: ScanReport, subject: str) -> CoverageItem:
    return next(one for one in report.coverage.items if one.subject == subject)


async def test_distribution_and_python_packages_are_found_and_covered(scan: Scan) -> None:
    report: ScanReport = await scan({**DEBIAN, **JINJA})
    assert [(one.id, one.aliases) for one in report.findings] == [
        ("DEBIAN-CVE-2024-10041", ("CVE-2024-10041",)),
        ("PYSEC-1", ("CVE-2016-10745",)),
    ]
    debian, python = report.findings
    assert debian.package.purl == "pkg:deb/debian/libpam0g@1.5.2-6%2Bdeb12u1?arch=amd64&distro=debian-12"
    assert debian.package.path == "var/lib/dpkg/status"
    assert debian.package.layer == "sha256:" + "cd" * 32
    assert python.package.purl == "pkg:pypi/jinja2@2.4.1"
    assert python.severity is Severity.UNKNOWN
    assert report.digest == "sha256:" + "ab" * 32
    assert report.coverage.is_complete
    assert [(one.subject, one.packages) for one in report.coverage.items] == [("Debian:12", 2), ("PyPI", 1)]
    assert report.scanner.database == "the imported database"
    assert report.scanner.database_updated_at == datetime(2026, 9, 30, tzinfo=UTC)
    assert ScanReport.model_validate_json(report.model_dump_json()) == report


async def test_python_that_the_distribution_installed_is_judged_by_the_distribution(
    scan: Scan,
) -> None:
    files = {
        **DEBIAN,
        "usr/lib/python3/dist-packages/six-1.16.0.egg-info": b"Name: six\nVersion: 1.16.0\n",
        "var/lib/dpkg/info/python3-six.list": b"/.\n/usr/lib/python3/dist-packages/six-1.16.0.egg-info\n",
    }
    report: ScanReport = await scan(files)
    assert [one.id for one in report.findings] == ["DEBIAN-CVE-2024-10041"]
    assert item(report, "PyPI").status is CoverageStatus.COVERED
    assert "1 more are packages of the distribution" in item(report, "PyPI").detail


async def test_alpine_is_read_from_either_place_and_counted_once(scan: Scan) -> None:
    database = b"P:musl\nV:1.2.4-r0\nA:x86_64\no:musl\n\n"
    files = {
        "etc/os-release": b"ID=alpine\nVERSION_ID=3.19.1\n",
        "lib/apk/db/installed": database,
        "usr/lib/apk/db/installed": database,
    }
    report: ScanReport = await scan(files)
    assert [one.id for one in report.findings] == ["ALPINE-CVE-2024-1111"]
    assert report.coverage.is_complete


RPM = {"etc/os-release": b"ID=fedora\nVERSION_ID=42\n", "usr/lib/sysimage/rpm/rpmdb.sqlite": b""}


@pytest.mark.parametrize(
    ("files", "subject", "words"),
    [
        pytest.param({}, "operating system", "nothing recognised", id="nothing at all"),
        pytest.param({"app": b"\x7fELF"}, "operating system", "nothing recognised", id="a static binary"),
        pytest.param(JINJA, "operating system", "no package database of a distribution", id="Python alone"),
        pytest.param({"etc/os-release": BOOKWORM}, "Debian:12", "without a deb package database", id="no database"),
        pytest.param({"var/lib/dpkg/status": STATUS}, "operating system", "no os-release", id="no os-release"),
        pytest.param(
            {**DEBIAN, "etc/os-release": b"ID=debian\nPRETTY_NAME=sid\n"}, "operating system", "no numbered", id="sid"
        ),
        pytest.param(
            {**DEBIAN, "etc/os-release": b"ID=debian\nVERSION_ID=13\n"}, "Debian:13", "holds no", id="release"
        ),
        pytest.param(
            {**DEBIAN, "etc/os-release": b"ID=ubuntu\nVERSION_ID=22.04\n"},
            "Ubuntu:22.04:LTS",
            "holds no",
            id="not held",
        ),
        pytest.param({"etc/os-release": BOOKWORM, "var/lib/dpkg/status": b""}, "Debian:12", "no installed", id="empty"),
        pytest.param(RPM, "operating system", "does not read", id="another distribution"),
        pytest.param(RPM, "RPM packages", "1 recognised", id="rpm"),
        pytest.param({**DEBIAN, "app/x.jar": b""}, "Java archives", "such as app/x.jar", id="java"),
        pytest.param({**DEBIAN, "app/node_modules/a/package.json": b""}, "npm packages", "not looked into", id="npm"),
    ],
)
async def test_what_was_not_looked_at_is_a_gap(scan: Scan, files: Files, subject: str, words: str) -> None:
    report: ScanReport = await scan(files)
    found = item(report, subject)
    assert found.status is CoverageStatus.NOT_COVERED
    assert words in found.detail
    assert not report.coverage.is_complete


async def test_a_program_that_no_package_accounts_for_is_a_gap(scan: Scan) -> None:
    image: dict[str, object] = {"config": {"Entrypoint": ["/server"]}}
    report: ScanReport = await scan({**DEBIAN, "server": b"\x7fELF"}, image=image)
    assert item(report, "programs").status is CoverageStatus.NOT_COVERED
    assert "/server" in item(report, "programs").detail


async def test_a_program_that_a_package_owns_and_one_that_pip_installed_are_no_gap(scan: Scan) -> None:
    owned = {"var/lib/dpkg/info/nginx.list": b"/usr/sbin/nginx\n", "usr/sbin/nginx": b""}
    report: ScanReport = await scan({**DEBIAN, **owned}, image={"config": {"Cmd": ["nginx"]}})
    assert report.coverage.is_complete
    folder = "usr/local/lib/python3.12/site-packages/gunicorn-1.dist-info"
    files = {
        **DEBIAN,
        f"{folder}/METADATA": b"Name: gunicorn\nVersion: 1\n",
        f"{folder}/RECORD": b"../../../bin/gunicorn,sha256=x,1\n",
        "usr/local/bin/gunicorn": b"",
    }
    report = await scan(files, image={"config": {"Cmd": ["gunicorn"]}})
    assert report.coverage.is_complete


async def test_content_that_a_package_owns_is_no_gap(scan: Scan) -> None:
    files = {**DEBIAN, "usr/share/java/a.jar": b"", "var/lib/dpkg/info/liba-java.list": b"/usr/share/java/a.jar\n"}
    report: ScanReport = await scan(files)
    assert report.coverage.is_complete


async def test_a_stale_database_is_partial_with_its_age(scan: Scan) -> None:
    report: ScanReport = await scan(DEBIAN, now=NOW + timedelta(days=100))
    assert item(report, "Debian:12").status is CoverageStatus.PARTIAL
    assert "101 days old (newest: 2026-09-30)" in item(report, "Debian:12").detail
    assert report.findings


async def test_unreadable_advisories_make_coverage_partial(scan: Scan) -> None:
    report: ScanReport = await scan(DEBIAN, extra=(b"{broken",))
    assert item(report, "Debian:12").status is CoverageStatus.PARTIAL
    assert "1 advisories could not be read" in item(report, "Debian:12").detail


async def test_unreadable_packages_and_versions_make_coverage_partial(scan: Scan) -> None:
    no_version = STATUS + b"\nPackage: odd\nStatus: install ok installed\n"
    report: ScanReport = await scan({**DEBIAN, "var/lib/dpkg/status": no_version})
    assert "(odd) has no usable version" in item(report, "Debian:12").detail
    broken_range = advisory("DEBIAN-CVE-2024-10041", "Debian:12", "pam", fixed="!broken!")
    report = await scan(DEBIAN, records=[broken_range])
    assert item(report, "Debian:12").status is CoverageStatus.PARTIAL
    assert "1 packages have a version that could not be compared" in item(report, "Debian:12").detail


async def test_what_the_configuration_leaves_out_is_not_covered(scan: Scan) -> None:
    config = OsvConfig.model_validate({"mode": "offline", "ecosystems": ["os"]})
    report: ScanReport = await scan({**DEBIAN, **JINJA}, config=config)
    assert [one.id for one in report.findings] == ["DEBIAN-CVE-2024-10041"]
    assert item(report, "PyPI").status is CoverageStatus.NOT_COVERED


async def test_the_real_alpine_database_is_scanned_with_the_real_advisories(
    make_context: Callable[..., PluginContext], make_database: Callable[..., Path], request_: ScanRequest
) -> None:
    make_database(DATA / "osv/Alpine-subset.zip", DATA / "osv/PyPI-subset.zip")
    files = {
        "etc/os-release": b"ID=alpine\nVERSION_ID=3.4.0\n",
        "lib/apk/db/installed": (DATA / "apk/trivy-installed").read_bytes(),
    }
    report = await OsvScanner(OFFLINE, make_context(files)).submit(request_)
    found = {(one.package.name, alias) for one in report.findings for alias in one.aliases}
    assert ("musl", "CVE-2016-8859") in found
    assert ("libcrypto1.0", "CVE-2016-2183") in found
    assert {one.severity for one in report.findings} == {Severity.UNKNOWN}
    alpine = item(report, "Alpine:v3.4")
    assert alpine.status is CoverageStatus.PARTIAL
    assert "days old" in alpine.detail
    assert "no usable version" in alpine.detail


async def test_auto_takes_a_fresh_database_and_asks_the_service_otherwise(
    scan: Scan,
) -> None:
    auto = OsvConfig(url="http://127.0.0.1:1")
    report: ScanReport = await scan(DEBIAN, config=auto)
    assert report.scanner.database == "the imported database"
    with pytest.raises(ScannerUnavailableError):
        await scan(DEBIAN, config=auto, now=NOW + timedelta(days=100))


async def test_offline_never_asks_the_service(scan: Scan) -> None:
    auto = OsvConfig(url="http://127.0.0.1:1")
    report: ScanReport = await scan(DEBIAN, config=auto, now=NOW + timedelta(days=100), offline=True)
    assert item(report, "Debian:12").status is CoverageStatus.PARTIAL


async def test_offline_without_a_database_says_how_to_get_one(
    make_context: Callable[..., PluginContext], request_: ScanRequest
) -> None:
    with pytest.raises(ConfigError, match="scanguard osv import"):
        await OsvScanner(OFFLINE, make_context(DEBIAN)).submit(request_)


def test_online_mode_refuses_to_be_offline(make_context: Callable[..., PluginContext]) -> None:
    with pytest.raises(ConfigError, match="needs the network"):
        OsvScanner(OsvConfig.model_validate({"mode": "online"}), make_context(offline=True))


async def test_info_names_the_data_and_its_date(
    make_context: Callable[..., PluginContext], make_database: Callable[..., Path], write_export: Callable[..., Path]
) -> None:
    scanner = OsvScanner(OsvConfig(), make_context())
    assert (await scanner.info()).database == "api.osv.dev"
    make_database(write_export(ADVISORIES[:1]))
    info = await scanner.info()
    assert (info.tool, info.database, info.database_updated_at) == (
        "scanguard-osv", "the imported database", datetime(2026, 9, 30, tzinfo=UTC),
    )  # fmt: skip


async def test_the_check_is_content_with_an_imported_database(
    make_context: Callable[..., PluginContext], make_database: Callable[..., Path], write_export: Callable[..., Path]
) -> None:
    make_database(write_export(ADVISORIES[:1]))
    await OsvScanner(OsvConfig.model_validate({"mode": "offline"}), make_context()).check()
    await OsvScanner(OsvConfig(), make_context(offline=True)).check()


@pytest.mark.parametrize(
    ("mode", "offline"), [pytest.param("offline", False, id="mode"), pytest.param("auto", True, id="user")]
)
async def test_the_check_misses_a_database_that_offline_work_needs(
    make_context: Callable[..., PluginContext], mode: str, offline: bool
) -> None:
    with pytest.raises(ConfigError):
        await OsvScanner(OsvConfig.model_validate({"mode": mode}), make_context(offline=offline)).check()


async def test_the_check_asks_the_service_one_question(make_context: Callable[..., PluginContext]) -> None:
    async def answer(request: ReceivedRequest) -> Answer:
        assert (request.method, request.path) == ("POST", "/v1/querybatch")
        assert len(json.loads(request.body)["queries"]) == 1
        return Answer(200, b'{"results": [{}]}')

    async with LoopbackServer(answer) as service:
        await OsvScanner(OsvConfig(url=service.url), make_context()).check()
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(Answer(503), ScannerUnavailableError, id="down"),
        pytest.param(Answer(403), ScannerAuthError, id="refused"),
        pytest.param(Answer(200, b"<html>sign in</html>"), ScannerOutputError, id="another site"),
    ],
)
async def test_the_check_fails_when_the_service_does(
    make_context: Callable[..., PluginContext], answer: Answer, error: type[ScanError]
) -> None:
    async def give(request: ReceivedRequest) -> Answer:
        return answer

    async with LoopbackServer(give) as service:
        with pytest.raises(error):
            await OsvScanner(OsvConfig(url=service.url), make_context()).check()


async def test_there_are_no_tickets(make_context: Callable[..., PluginContext], request_: ScanRequest) -> None:
    scanner = OsvScanner(OsvConfig(), make_context())
    assert await scanner.find(request_) is None
    with pytest.raises(PluginContractError):
        await scanner.poll(Ticket({}, NOW))


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"url": "ftp://x"}, "url"),
        ({"url": "https://user:secret@host"}, "url"),
        ({"mode": "both"}, "mode"),
        ({"ecosystems": ["npm"]}, "ecosystems"),
        ({"max_database_age_days": 0}, "max_database_age_days"),
        ({"databse": "x"}, "databse"),
    ],
)
def test_bad_configuration_names_the_key(options: dict[str, object], key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OsvConfig.model_validate(options)
    assert key in json.dumps([error["loc"] for error in caught.value.errors()])
