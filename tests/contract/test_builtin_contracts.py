"""The built-ins keep the contracts that plugins keep."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from scanguard.errors import (
    NotifyError,
    NotifyRefusedError,
    ScanguardError,
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
    ScanTimeoutError,
)
from scanguard.hooks import PluginContext
from scanguard.testing.answering import answering, unreachable_url
from scanguard.testing.contexts import make_context
from scanguard.testing.contracts import (
    CANARY,
    CANARY_REFERENCE,
    Broken,
    Gap,
    NotifierContract,
    PolicyContract,
    ScannerContract,
    SinkContract,
)

SIGNING = "whsec_" + base64.b64encode(b"the key of the contract's tests").decode()
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


class TestWebhookContract(NotifierContract):
    plugin = "scanguard.builtin.plugin"
    name = "webhook"

    def config_for(self, url: str, **options: Any) -> Mapping[str, Any]:
        signed = {"secrets": ["env:SIGNING"], "headers": {"Authorization": CANARY_REFERENCE}}
        return {"url": f"{url}/hooks/{CANARY}?token={CANARY}", **signed, **options}

    @pytest.fixture
    def context(self, tmp_path: Path) -> PluginContext:
        return make_context(tmp_path, secrets={CANARY_REFERENCE: CANARY, "env:SIGNING": SIGNING})

    @pytest.fixture
    def config(self) -> Iterator[Mapping[str, Any]]:
        with answering(204) as url:
            yield {"url": url, "secrets": ["env:SIGNING"], "headers": {"Authorization": CANARY_REFERENCE}}

    @pytest.fixture
    def hanging(self) -> Iterator[Mapping[str, Any]]:
        with answering(hangs=True) as url:
            yield self.config_for(url)

    @pytest.fixture
    def broken(self) -> Iterator[Sequence[Broken]]:
        echo = f"no entry with {CANARY} at /hooks/{CANARY}".encode()
        with ExitStack() as stack:

            def at(*args: Any, **options: Any) -> Mapping[str, Any]:
                return self.config_for(stack.enter_context(answering(*args, **options)))

            elsewhere = {"Location": f"https://elsewhere.example/{CANARY}"}
            hanging = stack.enter_context(answering(hangs=True))
            yield [
                Broken("refuses and echoes", at(401, echo), NotifyRefusedError),
                Broken("fails and echoes", at(500, echo), NotifyError),
                Broken("throttles", at(429, headers={"Retry-After": "7"}), NotifyError, retry_after_s=7.0),
                Broken("redirects", at(308, echo, elsewhere), NotifyRefusedError),
                Broken("never answers", self.config_for(hanging, timeout_s=0.2), NotifyError),
                Broken("is not there", self.config_for(unreachable_url()), NotifyError),
            ]

    @pytest.fixture
    def throttled(self) -> Iterator[Broken]:
        with answering(429, headers={"Retry-After": "7"}) as url:
            yield Broken("throttles", self.config_for(url), NotifyError, retry_after_s=7.0)


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
    def gap(self) -> Gap:
        return Gap({"coverage": "gap"})

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
