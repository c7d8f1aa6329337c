"""The Plumbline scanner keeps the contract of scanners."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from scanguard import (
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
    ScanTargetNotFoundError,
    ScanTimeoutError,
    ScanUnsupportedError,
)
from scanguard.testing.answering import answering, unreachable_url
from scanguard.testing.contracts import CANARY_REFERENCE, Broken, Gap, ScannerContract
from scanguard.testing.samples import sample_image
from scanguard.testing.server import LoopbackServer

from plumbline_service import EXAMINED, PlumblineService, report_on

DIGEST = sample_image().digest


def config_for(url: str, **options: object) -> Mapping[str, Any]:
    return {"url": url, "token": CANARY_REFERENCE, **options}


def scan_that_is(state: str, **fields: object) -> bytes:
    return json.dumps({"scan": "scan-1", "state": state, **fields}).encode()


class TestPlumblineContract(ScannerContract):
    plugin = "scanguard_plumbline.plugin"
    name = "plumbline"

    @pytest.fixture
    async def config(self) -> AsyncIterator[Mapping[str, Any]]:
        service = PlumblineService({DIGEST: report_on(DIGEST)}, states=("queued", "running", "done"))
        async with LoopbackServer(service.answer) as server:
            yield config_for(server.url)
        assert not service.rude

    @pytest.fixture
    def hanging(self) -> Iterator[Mapping[str, Any]]:
        with answering(hangs=True) as url:
            yield config_for(url)

    @pytest.fixture
    def gap(self) -> Iterator[Gap]:
        partly = report_on(DIGEST, examined=[{**EXAMINED, "complete": False}])
        with answering(200, scan_that_is("done", report=partly)) as url:
            yield Gap(config_for(url))

    @pytest.fixture
    def broken(self) -> Iterator[Sequence[Broken]]:
        with ExitStack() as servers:

            def to(status: int, body: bytes = b"", **headers: str) -> Mapping[str, Any]:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                return config_for(servers.enter_context(answering(status, body, named)))

            another = report_on("sha256:" + "0" * 64)
            silent = config_for(servers.enter_context(answering(hangs=True)), request_timeout_s=0.2)
            yield [
                Broken("refuses", to(401), ScannerAuthError),
                Broken("has no such image", to(404), ScanTargetNotFoundError),
                Broken("cannot read it", to(422), ScanUnsupportedError),
                Broken("throttles", to(429, Retry_After="7"), ScannerThrottledError, retry_after_s=7.0),
                Broken("fails", to(500), ScannerUnavailableError),
                Broken("sends to a login page", to(302, Location="/login"), ScannerOutputError),
                Broken("answers garbage", to(200, b"<html>"), ScannerOutputError),
                Broken("names a path", to(202, b'{"scan": "../../admin", "state": "queued"}'), ScannerOutputError),
                Broken("is in a new state", to(200, scan_that_is("paused")), ScannerOutputError),
                Broken("is done without a report", to(200, scan_that_is("done")), ScannerOutputError),
                Broken("means another image", to(200, scan_that_is("done", report=another)), ScannerOutputError),
                Broken("failed", to(200, scan_that_is("failed", reason="disk full")), ScannerUnavailableError),
                Broken("gave up", to(200, scan_that_is("failed", reason="unsupported")), ScanUnsupportedError),
                Broken("never answers", silent, ScanTimeoutError),
                Broken("is not there", config_for(unreachable_url()), ScannerUnavailableError),
            ]
