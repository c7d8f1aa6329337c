"""Mode qscanner: a program that is run here, and the report file it writes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from qualys_account import ScannerOf, Simulate, context_for, image, request_for
from scanguard_qualys.config import QualysConfig
from scanguard_qualys.mapping import to_findings
from scanguard_qualys.qscanner.command import arguments, environment
from scanguard_qualys.qscanner.options import QscannerOptions
from scanguard_qualys.qscanner.program import Program
from scanguard_qualys.qscanner.report import Sarif
from scanguard_qualys.qscanner.scanner import QscannerScanner
from scanguard_qualys.report import read

from scanguard.errors import (
    ConfigError,
    ImageNotFoundError,
    ScanguardError,
    ScannerOutputError,
    ScannerUnavailableError,
    ScanTimeoutError,
    ScanUnsupportedError,
)
from scanguard.http import HttpFactory
from scanguard.model.report import CoverageStatus
from scanguard.model.severity import Severity
from scanguard.oci.credentials import RegistryCredential
from scanguard.testing.answering import answering
from scanguard.testing.samples import NOW, sample_image

SARIF: dict[str, Any] = {
    "version": "2.1.0",
    "runs": [
        {
            "tool": {
                "driver": {
                    "name": "Qualys",
                    "rules": [
                        {
                            "id": "376157",
                            "shortDescription": {"text": "OpenSSL Security Update"},
                            "properties": {
                                "severity": 5,
                                "customerSeverity": 4,
                                "cve-ids": ["CVE-2022-0778"],
                                "qds": "62",
                            },
                        }
                    ],
                }
            },
            "results": [
                {
                    "ruleId": "376157",
                    "level": "error",
                    "message": {"text": "found"},
                    "properties": {
                        "QID": 376157,
                        "vulnerableSoftware": [
                            {
                                "name": "openssl",
                                "installedVersion": "1.1.1f-1",
                                "fixedVersion": "1.1.1f-2",
                                "layerSHA": "",
                            }
                        ],
                    },
                }
            ],
            "artifacts": [{"properties": {"imageID": str(image().config_digest), "osName": "Ubuntu"}}],
        }
    ],
}
INVENTORY: dict[str, Any] = {
    "SchemaVersion": "1",
    "QScannerVersion": "5.0.0",
    "ScansPerformed": [{"ScanType": "os", "Status": "SUCCESS"}, {"ScanType": "sca", "Status": "SUCCESS"}],
    "Metadata": {"TargetMetadata": {"ImageMetadata": {"ImageID": str(image().config_digest), "RepoDigests": []}}},
}
WRITES = """#!/usr/bin/env python3
import json, os, pathlib, sys
here = pathlib.Path(__file__).parent
argv = sys.argv[1:]
(here / "asked.json").write_text(json.dumps({"argv": argv, "env": dict(os.environ)}))
out = pathlib.Path(argv[argv.index("--output-dir") + 1])
for name in ("Report.sarif", "ScanResult"):
    source = here / (name + ".json")
    if source.exists():
        (out / ("shop-" + name + ".json")).write_bytes(source.read_bytes())
print("everything is fine: 0 vulnerabilities")
sys.exit(int((here / "exit").read_text()))
"""

Programmed = Callable[..., Path]


@pytest.fixture
def program(tmp_path: Path) -> Programmed:
    """Writes a program that acts as QScanner, with its files beside it."""

    def make(
        *, sarif: object = SARIF, inventory: object = INVENTORY, code: int = 0, script: str = WRITES, mode: int = 0o755
    ) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, content in (("Report.sarif", sarif), ("ScanResult", inventory)):
            path = folder / f"{name}.json"
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        (folder / "exit").write_text(str(code), encoding="utf-8")
        binary = folder / "qscanner"
        binary.write_text(script, encoding="utf-8")
        binary.chmod(mode)
        return binary

    return make


def scanner_for(folder: Path, binary: Path, **options: Any) -> QscannerScanner:
    given = {"binary": str(binary), **options.pop("qscanner", {})}
    config = QualysConfig.model_validate(
        {"mode": "qscanner", "pod": "EU1", "access_token": "env:Q_TOKEN", "qscanner": given, **options}
    )
    secrets = {"env:Q_TOKEN": "canary-token"}
    return QscannerScanner(config, context_for(folder, secrets=secrets, images=Registered()))


class Registered:
    """Knows who we are to the registry."""

    async def credential(self, resolved: object) -> RegistryCredential:
        return RegistryCredential("puller", SecretStr("canary-password"))


async def test_the_report_file_becomes_our_report(program: Programmed, tmp_path: Path) -> None:
    report = await scanner_for(tmp_path, program()).submit(request_for(image()))
    (finding,) = report.findings
    assert (finding.id, finding.severity, finding.fixed_versions) == ("CVE-2022-0778", Severity.HIGH, ("1.1.1f-2",))
    assert (finding.package.name, finding.vendor["qid"], finding.vendor["qds"]) == ("openssl", 376157, "62")
    assert report.confirmed
    assert report.scanner.version == "5.0.0"
    assert report.coverage.is_complete


async def test_no_secret_is_in_the_arguments_and_nothing_of_ours_is_in_the_environment(
    program: Programmed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCANGUARD_CANARY", "ours")
    binary = program()
    await scanner_for(tmp_path, binary).submit(request_for(image()))
    asked = json.loads((binary.parent / "asked.json").read_text(encoding="utf-8"))
    assert asked["argv"][:6] == ["image", image().source, "--mode", "get-report", "--pod", "EU1"]
    assert not [argument for argument in asked["argv"] if "canary" in argument]
    assert asked["env"]["QUALYS_ACCESS_TOKEN"] == "canary-token"
    assert asked["env"]["QSCANNER_REGISTRY_USERNAME"] == "puller"
    assert asked["env"]["QSCANNER_REGISTRY_PASSWORD"] == "canary-password"
    assert "SCANGUARD_CANARY" not in asked["env"]
    cache = asked["argv"][asked["argv"].index("--cache-dir") + 1]
    assert not await asyncio.to_thread(Path(cache).parent.exists), "each run cleans up"


async def test_two_runs_share_no_folder(program: Programmed, tmp_path: Path) -> None:
    binary = program()
    seen = set()
    for _ in range(2):
        await scanner_for(tmp_path, binary).submit(request_for(image()))
        argv = json.loads((binary.parent / "asked.json").read_text(encoding="utf-8"))["argv"]
        seen |= {argv[argv.index("--cache-dir") + 1], argv[argv.index("--output-dir") + 1]}
    assert len(seen) == 4


async def test_what_the_program_prints_is_never_a_result(program: Programmed, tmp_path: Path) -> None:
    for sarif in (None, "", "{}", "everything is fine"):
        with pytest.raises(ScannerOutputError):
            await scanner_for(tmp_path, program(sarif=sarif)).submit(request_for(image()))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        pytest.param(1, ScannerOutputError, id="1-is-a-crash-and-not-findings"),
        pytest.param(2, ConfigError, id="2-arguments"),
        pytest.param(6, ImageNotFoundError, id="6-image"),
        pytest.param(17, ScanUnsupportedError, id="17-system"),
        pytest.param(33, ScannerUnavailableError, id="33-upload"),
        pytest.param(40, ScannerUnavailableError, id="40-report"),
        pytest.param(137, ScannerOutputError, id="137-killed"),
        pytest.param(99, ScannerOutputError, id="99-unknown"),
    ],
)
async def test_an_exit_status_that_is_no_success_is_an_error_even_with_a_report(
    code: int, error: type[ScanguardError], program: Programmed, tmp_path: Path
) -> None:
    with pytest.raises(error):
        await scanner_for(tmp_path, program(code=code)).submit(request_for(image()))


@pytest.mark.parametrize(
    ("code", "verdict"), [pytest.param(42, "DENY", id="deny"), pytest.param(43, "AUDIT", id="audit")]
)
async def test_qualys_own_verdicts_are_kept_and_decide_nothing(
    code: int, verdict: str, program: Programmed, tmp_path: Path
) -> None:
    report = await scanner_for(tmp_path, program(code=code)).submit(request_for(image()))
    assert report.vendor == {"policy_verdict": verdict}
    assert len(report.findings) == 1


async def test_a_kind_of_scan_that_failed_is_a_gap(program: Programmed, tmp_path: Path) -> None:
    failed = {
        **INVENTORY,
        "ScansPerformed": [{"ScanType": "os", "Status": "SUCCESS"}, {"ScanType": "sca", "Status": "FAILED"}],
    }
    report = await scanner_for(tmp_path, program(code=13, inventory=failed)).submit(request_for(image()))
    assert [gap.subject for gap in report.coverage.gaps] == ["sca (QScanner)"]
    report = await scanner_for(tmp_path, program(code=13)).submit(request_for(image()))
    assert [gap.status for gap in report.coverage.gaps] == [CoverageStatus.PARTIAL]


async def test_a_report_about_another_image_is_refused_and_one_about_none_is_unconfirmed(
    program: Programmed, tmp_path: Path
) -> None:
    with pytest.raises(ScannerOutputError, match="not about"):
        await scanner_for(tmp_path, program()).submit(request_for(image(2)))
    nameless = json.loads(json.dumps(SARIF))
    nameless["runs"][0]["artifacts"] = []
    report = await scanner_for(tmp_path, program(sarif=nameless, inventory=None)).submit(request_for(image()))
    assert not report.confirmed
    assert not report.coverage.is_complete


ENDLESS = "#!/bin/sh\nexec sleep 60\n"
FLOOD = "#!/usr/bin/env python3\nimport sys\nwhile True: sys.stdout.write('x' * 1000000)\n"
FOREIGN = "\x7fELF not for this machine"


@pytest.mark.parametrize(
    ("made", "error", "says"),
    [
        pytest.param({"mode": 0o644}, ScannerUnavailableError, "not executable", id="not-executable"),
        pytest.param({"script": FOREIGN}, ScannerUnavailableError, "built for this machine", id="architecture"),
        pytest.param({"script": FLOOD}, ScannerOutputError, "wrote more", id="floods"),
        pytest.param({"script": "#!/bin/sh\nkill -9 $$\n"}, ScannerOutputError, "signal 9", id="killed"),
        pytest.param({"script": "#!/bin/sh\n"}, ScannerOutputError, "wrote 0 files", id="silent"),
        pytest.param({"sarif": "x" * 3000}, ScannerOutputError, "bytes, which is too much", id="huge-report"),
    ],
)
async def test_a_program_that_misbehaves_is_the_right_error(
    made: dict[str, Any], error: type[ScanguardError], says: str, program: Programmed, tmp_path: Path
) -> None:
    scanner = scanner_for(tmp_path, program(**made), qscanner={"max_report_bytes": 2048})
    with pytest.raises(error, match=says):
        await scanner.submit(request_for(image()))


async def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScannerUnavailableError, match="there is no program"):
        await scanner_for(tmp_path, tmp_path / "none").submit(request_for(image()))


async def test_the_deadline_ends_it_and_cancelling_leaves_no_process(program: Programmed, tmp_path: Path) -> None:
    scanner = scanner_for(tmp_path, program(script=ENDLESS), timeout_s=10)
    soon = replace(request_for(image()), deadline=NOW + timedelta(seconds=1))
    with pytest.raises(ScanTimeoutError):
        await scanner.submit(soon)
    task = asyncio.create_task(scanner.submit(request_for(image())))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_what_cannot_be_scanned_is_unsupported(tmp_path: Path) -> None:
    options = QscannerOptions(binary=Path("q"))

    def asked(source: str) -> list[str]:
        local = sample_image().model_copy(update={"source": source, "reference": None})
        return arguments(Path("q"), local, options, pod="US1", folder=tmp_path, timeout_s=9)

    assert asked("docker-archive:/x/a.tar")[2] == "/x/a.tar"
    with pytest.raises(ScanUnsupportedError):
        asked("oci:/x/layout")


def test_an_identity_token_goes_by_environment_too(tmp_path: Path) -> None:
    env = environment("t", RegistryCredential(identity_token=SecretStr("i")), tmp_path)
    assert env["QSCANNER_REGISTRY_TOKEN"] == "i"
    assert "QSCANNER_REGISTRY_PASSWORD" not in env


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="no-program"),
        pytest.param({"binary": "q", "download": {"url": "https://h/q", "sha256": "a" * 64}}, id="two-programs"),
        pytest.param({"download": {"url": "http://h/q", "sha256": "a" * 64}}, id="plain-http"),
        pytest.param({"download": {"url": "https://h/q"}}, id="no-checksum"),
        pytest.param({"binary": "q", "extra_args": ["--access-token=x"]}, id="a-secret-as-an-argument"),
        pytest.param({"binary": "q", "extra_args": ["--cache-dir", "/shared"]}, id="a-shared-cache"),
    ],
)
def test_options_that_would_be_unsafe_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        QscannerOptions.model_validate(options)


async def test_a_download_is_run_only_with_its_checksum(tmp_path: Path) -> None:
    content = b"#!/bin/sh\n"
    with answering(200, content) as url:

        async def path(sha256: str) -> Path:
            options = QscannerOptions.model_construct(
                binary=None, download=type("D", (), {"url": url, "sha256": sha256})()
            )
            return await Program(options, context_for(tmp_path, http=HttpFactory())).path()

        good = hashlib.sha256(content).hexdigest()
        found = await path(good)
        assert os.access(found, os.X_OK)
        assert stat.S_IMODE(found.stat().st_mode) == 0o755
        with pytest.raises(ScannerOutputError, match="not the pinned one"):
            await path("b" * 64)
        found.write_bytes(b"changed behind our back")
        assert (await path(good)).read_bytes() == content
        assert [one.name for one in found.parent.iterdir()] == [good], "nothing half-done is left"


async def test_without_a_token_of_its_own_it_logs_in_at_the_gateway(
    program: Programmed, simulate: Simulate, scanner_of: ScannerOf
) -> None:
    simulator = await simulate()
    binary = program()
    scanner: Any = scanner_of(simulator, mode="qscanner", qscanner={"binary": str(binary)})
    await scanner.check()
    archive = sample_image().model_copy(
        update={"source": "docker-archive:/x.tar", "reference": None, "config_digest": image().config_digest}
    )
    scanner._context = replace(scanner._context, images=Registered())
    await scanner.submit(request_for(archive))
    asked = json.loads((binary.parent / "asked.json").read_text(encoding="utf-8"))
    assert asked["env"]["QUALYS_ACCESS_TOKEN"].endswith(".simulated")
    assert simulator.recorded.logins == 1


KEYS = ["version", "runs", "tool", "driver", "results", "ruleId", "properties", "QID", "vulnerableSoftware", "name"]
ANYTHING = st.recursive(
    st.none() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(ANYTHING)
def test_any_document_is_a_report_or_the_right_error(document: object) -> None:
    with contextlib.suppress(ScannerOutputError):
        to_findings(read(Sarif, json.dumps(document).encode(), "a report").detections())
