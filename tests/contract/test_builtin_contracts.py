"""The built-ins keep the contracts that plugins keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from scanguard.testing.contracts import NotifierContract, PolicyContract, SinkContract


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
