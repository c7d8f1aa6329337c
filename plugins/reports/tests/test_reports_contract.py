"""The scanner keeps the contract of scanners, with a folder and with a store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from scanguard.hooks import PluginContext
from scanguard.testing.answering import answering
from scanguard.testing.contracts import Gap, ScannerContract
from scanguard.testing.contracts.setting import CANARY_REFERENCE
from scanguard.testing.samples import sample_image

REPORT: dict[str, Any] = {
    "SchemaVersion": 2,
    "ArtifactName": f"acme.example/shop/api@{sample_image().digest}",
    "CreatedAt": "2026-01-01T00:00:00.123456789Z",
    "Metadata": {"OS": {"Family": "debian", "Name": "12"}},
    "Results": [
        {
            "Class": "os-pkgs",
            "Type": "debian",
            "Vulnerabilities": [{"VulnerabilityID": "CVE-2026-1", "PkgName": "a", "Severity": "HIGH"}],
        }
    ],
}


class TestReportsFolderContract(ScannerContract):
    plugin = "scanguard_reports.plugin"
    name = "reports"

    @pytest.fixture
    def config(self, tmp_path: Path) -> Mapping[str, Any]:
        return self.folder_with(REPORT, tmp_path)

    @pytest.fixture
    def gap(self, tmp_path: Path) -> Gap:
        """A report that recognised nothing."""
        return Gap(self.folder_with({**REPORT, "Metadata": {}, "Results": None}, tmp_path / "other"))

    def folder_with(self, report: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
        folder.mkdir(exist_ok=True)
        (folder / f"{sample_image().digest.replace(':', '-')}.json").write_text(json.dumps(report), encoding="utf-8")
        return {"folder": str(folder)}


class TestReportsStoreContract(TestReportsFolderContract):
    @pytest.fixture
    def config(self, context: PluginContext) -> Iterator[Mapping[str, Any]]:
        with answering(200, json.dumps(REPORT).encode()) as url:
            yield {"url": url, "token": CANARY_REFERENCE}
