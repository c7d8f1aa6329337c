"""How an earlier system made images clean that nobody had looked at: one test for each fault, by its name.

A1 to A5 are faults of a scanner plugin; A6 to A9 are the engine's, see ``tests/unit/test_false_clean.py``.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from qualys_account import ScannerOf, Simulate, context_for, image, request_for, scan
from scanguard_qualys.config import QualysConfig
from scanguard_qualys.mapping import to_findings
from scanguard_qualys.qscanner.command import arguments
from scanguard_qualys.qscanner.options import QscannerOptions
from scanguard_qualys.qscanner.scanner import QscannerScanner
from scanguard_qualys.report import Vulnerability

from scanguard.errors import ScannerOutputError
from scanguard.model.report import count_severities
from scanguard.model.severity import Severity
from scanguard.oci.credentials import RegistryCredential

INVENTORY = {"vulnerabilities": [], "OSResults": [], "ScansPerformed": [{"ScanType": "os", "Status": "SUCCESS"}]}
KNOWN_FLAGS = {
    "--mode",
    "--pod",
    "--scan-types",
    "--report-format",
    "--output-dir",
    "--cache-dir",
    "--platform",
    "--scan-timeout",
}


class _Images:
    async def credential(self, resolved: object) -> RegistryCredential:
        return RegistryCredential("u", SecretStr("p"))


def qscanner(folder: Path, script: str) -> QscannerScanner:
    binary = folder / "qscanner"
    binary.write_text(script, encoding="utf-8")
    binary.chmod(0o755)
    config = QualysConfig.model_validate(
        {"mode": "qscanner", "pod": "EU1", "access_token": "env:T", "qscanner": {"binary": str(binary)}}
    )
    return QscannerScanner(config, context_for(folder, secrets={"env:T": "token"}, images=_Images()))


async def test_a1_an_inventory_on_standard_output_is_not_a_report_without_vulnerabilities(tmp_path: Path) -> None:
    printing = f"#!/bin/sh\ncat <<'END'\n{json.dumps(INVENTORY)}\nEND\n"
    with pytest.raises(ScannerOutputError):
        await qscanner(tmp_path, printing).submit(request_for(image()))


async def test_a2_exit_status_1_is_a_crash_and_not_vulnerabilities_found(tmp_path: Path) -> None:
    with pytest.raises(ScannerOutputError):
        await qscanner(tmp_path, "#!/bin/sh\nexit 1\n").submit(request_for(image()))


def test_a3_the_program_gets_no_flag_that_nobody_documents(tmp_path: Path) -> None:
    argv = arguments(Path("q"), image(), QscannerOptions(binary=Path("q")), pod="US1", folder=tmp_path, timeout_s=9)
    assert {argument for argument in argv if argument.startswith("--")} == KNOWN_FLAGS


def test_a4_every_cve_is_kept_with_its_qid_and_unknown_severity_is_not_medium() -> None:
    record: dict[str, Any] = {
        "qid": 7,
        "cveids": ["CVE-1", "CVE-2"],
        "severity": "very bad",
        "software": [{"name": "a"}],
    }
    findings = to_findings([Vulnerability.model_validate(record).detection()])
    assert {(one.id, one.vendor["qid"], one.severity) for one in findings} == {
        ("CVE-1", 7, Severity.UNKNOWN),
        ("CVE-2", 7, Severity.UNKNOWN),
    }
    counts = count_severities(findings)
    assert sum(counts.values()) == len(findings), "the total is the sum of the buckets"
    assert Counter(one.severity for one in findings)[Severity.MEDIUM] == 0


async def test_a5_what_the_scanner_said_is_kept_compliance_too(simulate: Simulate, scanner_of: ScannerOf) -> None:
    report = await scan(scanner_of(await simulate(findings=4)), image())
    assert {finding.vendor["qid"] for finding in report.findings} == {370_000, 370_001, 370_002, 370_003}
    assert {check.passed for check in report.compliance} <= {True, False}
    assert report.compliance


async def test_f_a_page_that_is_not_the_last_and_a_failed_call_never_make_an_image_clean(
    simulate: Simulate, scanner_of: ScannerOf
) -> None:
    simulator = await simulate(findings=25)
    report = await scan(scanner_of(simulator, page_size=10), image())
    assert len({finding.vendor["qid"] for finding in report.findings}) == 25, "all pages"
