"""The Trivy scanner keeps the contract of scanners, alone and with a server."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_trivy import FakeTrivy, database_made, remote_image, report_with
from pydantic import SecretStr

from scanguard.errors import (
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
    ScanTargetNotFoundError,
    ScanTimeoutError,
)
from scanguard.hooks import PluginContext, ScanRequest
from scanguard.oci.credentials import RegistryCredential
from scanguard.testing.answering import answering, unreachable_url
from scanguard.testing.contracts import CANARY, CANARY_REFERENCE, Broken, Gap, ScannerContract
from scanguard.testing.samples import NOW

MakeTrivy = Callable[[str], FakeTrivy]


def fatal(text: str) -> Mapping[str, Any]:
    """How Trivy fails; the log repeats what a registry wrote, a secret perhaps."""
    return {"status": 1, "stderr": f"2026\tINFO\tx\n2026\tFATAL\tFatal error\trun error: {text} {CANARY}\n"}


class TrivyContract(ScannerContract):
    plugin = "scanguard_trivy.plugin"
    name = "trivy"

    @pytest.fixture
    def context(self, lend: Callable[..., PluginContext]) -> PluginContext:
        secret = RegistryCredential("robot", SecretStr(CANARY))
        return lend(credentials={"registry.example": secret})

    @pytest.fixture
    def scan_request(self) -> ScanRequest:
        return ScanRequest(key="k", image=remote_image(), deadline=NOW + timedelta(hours=1))


class TestTrivyAlone(TrivyContract):
    @pytest.fixture
    def config(self, trivy: FakeTrivy) -> Mapping[str, Any]:
        return trivy.config()

    @pytest.fixture
    def hanging(self, make_trivy: MakeTrivy) -> Mapping[str, Any]:
        return make_trivy("hanging").plan(steps={"sleep": 30, "spawn": True}).config()

    @pytest.fixture
    def gap(self, make_trivy: MakeTrivy) -> Gap:
        return Gap(make_trivy("unrecognised").plan(report=report_with()).config())

    @pytest.fixture
    def broken(self, make_trivy: MakeTrivy, tmp_path: Path) -> Sequence[Broken]:
        def program(name: str, **plan: Any) -> Mapping[str, Any]:
            return make_trivy(name).plan(**plan).config()

        plain = tmp_path / "plain"
        plain.write_text("no program")
        foreign = tmp_path / "foreign"
        foreign.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xf3\x00" + bytes(44))
        foreign.chmod(0o755)
        deep = b'{"SchemaVersion":2,"Unused":' + b"[" * 200_000
        return [
            Broken("not there", {"binary": str(tmp_path / "none")}, ScannerUnavailableError),
            Broken("not on PATH", {"binary": "no-such-trivy"}, ScannerUnavailableError),
            Broken("not executable", {"binary": str(plain)}, ScannerUnavailableError),
            Broken("of another architecture", {"binary": str(foreign)}, ScannerUnavailableError),
            Broken("killed", program("killed", steps={"signal": signal.SIGKILL}), ScannerUnavailableError),
            Broken("fails", program("fails", steps=fatal("something new")), ScannerUnavailableError),
            Broken("refused", program("refused", steps=fatal("GET x: UNAUTHORIZED: no")), ScannerAuthError),
            Broken("no image", program("none", steps=fatal("MANIFEST_UNKNOWN: no")), ScanTargetNotFoundError),
            Broken("throttled", program("throttled", steps=fatal("TOOMANYREQUESTS: no")), ScannerThrottledError),
            Broken("silent", program("silent", report=None), ScannerOutputError),
            Broken("floods", {**program("floods", steps={"flood": 200}), "max_output_bytes": 4096}, ScannerOutputError),
            Broken("hangs", {**program("hangs", steps={"sleep": 30}), "timeout_s": 0.3}, ScanTimeoutError),
            Broken("no JSON", program("text", raw=b"<html>".hex()), ScannerOutputError),
            Broken("cut off", program("cut", raw=b'{"SchemaVersion":2,"Resu'.hex()), ScannerOutputError),
            Broken("deep", program("deep", raw=deep.hex()), ScannerOutputError),
            Broken("null", program("null", raw=b"null".hex()), ScannerOutputError),
            Broken("a newer schema", program("newer", raw=b'{"SchemaVersion":3}'.hex()), ScannerOutputError),
            Broken("huge", {**program("huge", raw=(b" " * 5000).hex()), "max_report_bytes": 4096}, ScannerOutputError),
            Broken(
                "about another image",
                program("another", report=report_with(RepoDigests=["x@sha256:" + "0" * 64])),
                ScannerOutputError,
            ),
            Broken("a malicious release", program("malicious", version="0.69.4"), ScannerUnavailableError),
            Broken("no version", program("no-version", version_text="hello"), ScannerOutputError),
        ]


class TestTrivyWithServer(TrivyContract):
    @pytest.fixture
    def serve(self, make_trivy: MakeTrivy) -> Iterator[Callable[..., Mapping[str, Any]]]:
        with ExitStack() as servers:

            def make(name: str, status: int = 200, body: bytes = b"", **options: Any) -> Mapping[str, Any]:
                told = {"Version": "0.69.3", "VulnerabilityDB": database_made(timedelta(hours=1))}
                url = servers.enter_context(answering(status, body or json.dumps(told).encode(), **options))
                return make_trivy(name).config(server=url, server_token=CANARY_REFERENCE)

            yield make

    @pytest.fixture
    def config(self, serve: Callable[..., Mapping[str, Any]]) -> Mapping[str, Any]:
        return serve("works")

    @pytest.fixture
    def hanging(self, serve: Callable[..., Mapping[str, Any]]) -> Mapping[str, Any]:
        return serve("hangs", hangs=True)

    @pytest.fixture
    def gap(self, serve: Callable[..., Mapping[str, Any]]) -> Gap:
        """A server with a database that nobody renewed."""
        old = json.dumps({"Version": "0.69.3", "VulnerabilityDB": database_made(timedelta(days=30))}).encode()
        return Gap(serve("stale", body=old))

    @pytest.fixture
    def broken(self, serve: Callable[..., Mapping[str, Any]], make_trivy: MakeTrivy) -> Sequence[Broken]:
        refusing = make_trivy("token").plan(steps=fatal("twirp error unauthenticated: invalid token"))
        working = serve("working")
        return [
            Broken("not there", {**serve("away"), "server": unreachable_url()}, ScannerUnavailableError),
            Broken("wants a login", serve("login", 401), ScannerAuthError),
            Broken("no Trivy server", serve("other", 404), ScannerOutputError),
            Broken("throttles", serve("slow", 429, headers={"Retry-After": "7"}), ScannerThrottledError, 7.0),
            Broken("fails", serve("fails", 500), ScannerUnavailableError),
            Broken("answers garbage", serve("html", body=b"<html>"), ScannerOutputError),
            Broken("a malicious release", serve("bad", body=b'{"Version":"0.69.5"}'), ScannerUnavailableError),
            Broken("hangs", {**serve("hung", hangs=True), "server_timeout_s": 0.2}, ScanTimeoutError),
            Broken("refuses the token", {**working, "binary": str(refusing.path)}, ScannerAuthError),
        ]
