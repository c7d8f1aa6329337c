"""The built-ins keep the contracts that plugins keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from scanguard.errors import (
    ScanguardError,
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
    ScanTimeoutError,
)
from scanguard.testing.contracts import Broken, NotifierContract, PolicyContract, ScannerContract, SinkContract

SCRIPTED_FAILURES: Mapping[str, type[ScanguardError]] = {
    "unavailable": ScannerUnavailableError,
    "throttled": ScannerThrottledError,
    "timeout": ScanTimeoutError,
    "unreadable": ScannerOutputError,
    "auth": ScannerAuthError,
}


class TestThresholdContract(PolicyContract):
    plugin = "scanguard.builtin.plugin"
    name = "threshold"


class TestJsonFilesContract(SinkContract):
    plugin = "scanguard.builtin.plugin"
    name = "json_files"

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        return {"folder": "results"}

    @pytest.fixture
    def stored(self, tmp_path: Path) -> Callable[[], int]:
        return lambda: sum(path.is_file() for path in (tmp_path / "results").rglob("*"))


class TestConsoleContract(NotifierContract):
    plugin = "scanguard.builtin.plugin"
    name = "console"


class TestScriptedContract(ScannerContract):
    plugin = "scanguard.builtin.plugin"
    name = "scripted"

    @pytest.fixture(params=[pytest.param(0, id="at once"), pytest.param(30, id="with a ticket")])
    def config(self, request: pytest.FixtureRequest) -> Mapping[str, Any]:
        return {"findings": 5, "latency_s": request.param, "poll_s": 10, "journal": "calls.jsonl"}

    @pytest.fixture
    def hanging(self) -> Mapping[str, Any]:
        return {"faults": {"rate": 1, "kinds": ["hang"], "hang_s": 3600}}

    @pytest.fixture
    def broken(self) -> Sequence[Broken]:
        return [
            Broken(
                kind,
                {"faults": {"rate": 1, "kinds": [kind], "retry_after_s": 7}},
                error,
                retry_after_s=7 if kind == "throttled" else None,
            )
            for kind, error in SCRIPTED_FAILURES.items()
        ]
