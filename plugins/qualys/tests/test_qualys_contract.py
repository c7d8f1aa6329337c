"""The Qualys scanner keeps the contract of scanners, in each of its modes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from qualys_account import image, request_for
from scanguard_qualys.simulator import QualysSimulator, Scenario, SimulatedImage

from scanguard.hooks import PluginContext, ScanRequest
from scanguard.oci.credentials import RegistryCredential
from scanguard.testing.contexts import WatchedHttp, make_context
from scanguard.testing.contracts import Gap, ScannerContract
from scanguard.testing.contracts.probes import CANARY
from scanguard.testing.contracts.setting import CANARY_REFERENCE
from scanguard.testing.memory import ManualClock
from scanguard.testing.samples import NOW

UNKNOWN = image(9)
ACCOUNT = {"username": CANARY_REFERENCE, "password": CANARY_REFERENCE}


class _InAThread:
    """A simulator with an event loop of its own, so that what is measured here is the plugin."""

    def __init__(self, scenario: Scenario) -> None:
        self.simulator = QualysSimulator(scenario)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> QualysSimulator:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.simulator.__aenter__(), self._loop).result(20)
        return self.simulator

    def __exit__(self, *exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self.simulator.__aexit__(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


@pytest.fixture(scope="module")
def account() -> Iterator[QualysSimulator]:
    unknown = SimulatedImage(digest=UNKNOWN.digest, config=str(UNKNOWN.config_digest), operating_system="", findings=0)
    scenario = Scenario(latency_s=0, username=CANARY, password=CANARY, registries=("1",), images=(unknown,))
    with _InAThread(scenario) as simulator:
        yield simulator


class TestQualysPlatformContract(ScannerContract):
    plugin = "scanguard_qualys.plugin"
    name = "qualys"

    @pytest.fixture
    def context(self, tmp_path: Path, account: QualysSimulator) -> PluginContext:
        return make_context(
            tmp_path,
            http=WatchedHttp(ca_file=account.ca_file),
            secrets={CANARY_REFERENCE: CANARY},
            clock=ManualClock(NOW),
        )

    @pytest.fixture
    def config(self, account: QualysSimulator) -> Mapping[str, Any]:
        return {"mode": "platform", "url": account.url, **ACCOUNT}

    @pytest.fixture
    def scan_request(self) -> ScanRequest:
        return request_for(image())

    @pytest.fixture
    def gap(self, config: Mapping[str, Any]) -> Gap:
        """An image in which Qualys recognises no operating system."""
        return Gap(config, request=request_for(UNKNOWN))


class TestQualysRegistryJobContract(TestQualysPlatformContract):
    @pytest.fixture
    def config(self, account: QualysSimulator) -> Mapping[str, Any]:
        return {"mode": "platform", "url": account.url, "registry_id": "1", "poll_batch": 5, **ACCOUNT}


class TestQualysOnDemandContract(TestQualysPlatformContract):
    @pytest.fixture
    def config(self, account: QualysSimulator) -> Mapping[str, Any]:
        return {"mode": "ondemand", "url": account.url, **ACCOUNT}


class _Images:
    async def credential(self, resolved: object) -> RegistryCredential:
        return RegistryCredential("puller", SecretStr(CANARY))


SARIF = {
    "version": "2.1.0",
    "runs": [
        {
            "tool": {"driver": {"rules": [{"id": "1", "properties": {"severity": 3, "cve-ids": ["CVE-2026-1"]}}]}},
            "results": [{"ruleId": "1", "properties": {"QID": 1, "vulnerableSoftware": [{"name": "a"}]}}],
            "artifacts": [{"properties": {"imageID": str(image().config_digest), "osName": "Ubuntu"}}],
        }
    ],
}
PROGRAM = f"""#!/bin/sh
while [ "$1" != --output-dir ]; do shift; done
cat > "$2/x-Report.sarif.json" <<'END'
{json.dumps(SARIF)}
END
"""


class TestQualysQscannerContract(TestQualysPlatformContract):
    @pytest.fixture
    def context(self, tmp_path: Path, account: QualysSimulator) -> PluginContext:
        return make_context(
            tmp_path,
            http=WatchedHttp(ca_file=account.ca_file),
            secrets={CANARY_REFERENCE: CANARY},
            clock=ManualClock(NOW),
            images=_Images(),
        )

    @pytest.fixture
    def config(self, account: QualysSimulator, tmp_path: Path) -> Mapping[str, Any]:
        binary = tmp_path / "qscanner"
        binary.write_text(PROGRAM, encoding="utf-8")
        binary.chmod(0o755)
        return {"mode": "qscanner", "url": account.url, "qscanner": {"binary": str(binary)}, **ACCOUNT}

    @pytest.fixture
    def gap(self, config: Mapping[str, Any]) -> Gap:
        """A report that names no operating system."""
        binary = Path(config["qscanner"]["binary"])
        nameless = binary.with_name("nameless")
        nameless.write_text(PROGRAM.replace('"osName": "Ubuntu"', '"osName": ""'), encoding="utf-8")
        nameless.chmod(0o755)
        return Gap({**config, "qscanner": {"binary": str(nameless)}})
