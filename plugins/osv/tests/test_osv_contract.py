"""The OSV scanner keeps the contract of scanners."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from scanguard.errors import (
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
    ScanTimeoutError,
)
from scanguard.hooks import PluginContext
from scanguard.testing.answering import answering, unreachable_url
from scanguard.testing.contexts import WatchedHttp
from scanguard.testing.contracts import Broken, ScannerContract

ADVISORY = {
    "id": "PYSEC-1",
    "modified": "2026-09-30T00:00:00Z",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "jinja2"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
        }
    ],
}
METADATA = "app/lib/python3.12/site-packages/Jinja2-2.4.1.dist-info/METADATA"


def online(url: str) -> Mapping[str, Any]:
    return {"mode": "online", "url": url}


class TestOsvContract(ScannerContract):
    plugin = "scanguard_osv.plugin"
    name = "osv"

    @pytest.fixture
    def http(self) -> WatchedHttp:
        return WatchedHttp()

    @pytest.fixture
    def context(self, make_context: Callable[..., PluginContext]) -> PluginContext:
        return make_context({METADATA: b"Name: Jinja2\nVersion: 2.4.1\n"})

    @pytest.fixture
    def config(self, write_export: Callable[..., Path], make_database: Callable[..., Path]) -> Mapping[str, Any]:
        make_database(write_export([ADVISORY]), ecosystems=["PyPI"])
        return {"mode": "offline"}

    @pytest.fixture
    def hanging(self) -> Iterator[Mapping[str, Any]]:
        with answering(hangs=True) as url:
            yield online(url)

    @pytest.fixture
    def broken(self) -> Iterator[Sequence[Broken]]:
        with ExitStack() as servers:

            def answer(status: int, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> Mapping[str, Any]:
                return online(servers.enter_context(answering(status, body, headers)))

            hanging = servers.enter_context(answering(hangs=True))
            yield [
                Broken("nobody there", online(unreachable_url()), ScannerUnavailableError),
                Broken("fails", answer(500), ScannerUnavailableError),
                Broken("refuses", answer(403), ScannerAuthError),
                Broken(
                    "throttles", answer(429, headers={"Retry-After": "7"}), ScannerThrottledError, retry_after_s=7.0
                ),
                Broken("answers garbage", answer(200, b"<html>"), ScannerOutputError),
                Broken("answers something else", answer(200, b"[]"), ScannerOutputError),
                Broken("one call hangs", {**online(hanging), "request_timeout_s": 0.2}, ScannerUnavailableError),
                Broken("all calls together hang", {**online(hanging), "lookup_timeout_s": 0.2}, ScanTimeoutError),
            ]
