"""What Trivy's log and end mean, as the right error."""

from __future__ import annotations

import pytest
from scanguard_trivy.config import TrivyConfig
from scanguard_trivy.failures import lacks_java_database, refuse
from scanguard_trivy.versions import check_version, parse_version

from scanguard.errors import (
    ScanError,
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
    ScanTargetNotFoundError,
    ScanTimeoutError,
    ScanUnsupportedError,
)
from scanguard.process import Finished

REMOTE = 'unable to find the specified image "x" in ["remote"]: 1 error occurred:\n\t* remote error: GET http://x/v2/: '


def finished(log: str, status: int = 1) -> Finished:
    return Finished(status, b"", f"2026-11-23T18:14:55Z\tINFO\t[vuln] 429 Too Many Requests\n{log}".encode())


def fatal(text: str) -> Finished:
    return finished(f"2026-11-23T18:14:55Z\tFATAL\tFatal error\trun error: {text} canary")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param(f"{REMOTE}UNAUTHORIZED: authentication required", ScannerAuthError, id="unauthorized"),
        pytest.param(f"{REMOTE}unexpected status code 403 Forbidden", ScannerAuthError, id="forbidden"),
        pytest.param(f"{REMOTE}MANIFEST_UNKNOWN: no", ScanTargetNotFoundError, id="no manifest"),
        pytest.param(
            f"{REMOTE}MANIFEST_UNKNOWN: no\n\t* remote error: UNAUTHORIZED: who?", ScanTargetNotFoundError, id="both"
        ),
        pytest.param(f"{REMOTE}NAME_UNKNOWN: no", ScanTargetNotFoundError, id="no repository"),
        pytest.param(f"{REMOTE}TOOMANYREQUESTS: slow", ScannerThrottledError, id="throttled"),
        pytest.param(f"{REMOTE}unexpected status code 500 Internal Server Error", ScannerUnavailableError, id="500"),
        pytest.param("dial tcp 127.0.0.1:1: connect: connection refused", ScannerUnavailableError, id="nobody there"),
        pytest.param("context deadline exceeded", ScanTimeoutError, id="too slow"),
        pytest.param("compressed image size 526B exceeds maximum allowed size 10B", ScanUnsupportedError, id="large"),
        pytest.param('unsupported artifact type "x" for image', ScanUnsupportedError, id="a chart"),
        pytest.param("twirp error unauthenticated: invalid token", ScannerAuthError, id="token"),
        pytest.param("twirp error internal: boom", ScannerUnavailableError, id="server"),
        pytest.param("--skip-db-update cannot be specified on the first run", ScannerUnavailableError, id="database"),
        pytest.param("unknown flag: --pkg-types", ScannerUnavailableError, id="old"),
        pytest.param("write /tmp/x: no space left on device", ScannerUnavailableError, id="disk"),
        pytest.param("cache may be in use by another process", ScannerUnavailableError, id="cache"),
        pytest.param("something new", ScannerUnavailableError, id="not known"),
    ],
)
def test_the_last_fatal_words_decide_and_are_not_repeated(text: str, error: type[ScanError]) -> None:
    with pytest.raises(ScanError) as caught:
        refuse(fatal(text), "scan", "shop/web", is_about_image=True)

    assert type(caught.value) is error
    assert "canary" not in str(caught.value)
    assert caught.value.target == "shop/web"


@pytest.mark.parametrize("text", ["MANIFEST_UNKNOWN: no", 'unsupported artifact type "x"'])
def test_a_database_that_is_missing_is_no_missing_image(text: str) -> None:
    with pytest.raises(ScannerUnavailableError):
        refuse(fatal(text), "download of the vulnerability database", "ghcr.io/x:2")


def test_a_log_without_a_fatal_line_is_looked_at_too() -> None:
    with pytest.raises(ScannerUnavailableError, match="does not know an option"):
        refuse(Finished(1, b"", b"Error: unknown flag: --nope"), "scan", "x")


def test_a_signal_is_named() -> None:
    with pytest.raises(ScannerUnavailableError, match="killed by signal 9"):
        refuse(finished("", -9), "scan", "x")


def test_success_is_no_failure_whatever_was_logged() -> None:
    refuse(finished("x\tFATAL\tUNAUTHORIZED", 0), "scan", "x")


def test_java_archives_without_a_database_are_recognised() -> None:
    said = "Java DB update failed: '--skip-java-db-update' cannot be specified on the first run"

    assert lacks_java_database(fatal(said))
    assert not lacks_java_database(fatal("--skip-db-update cannot be specified on the first run"))


@pytest.mark.parametrize("version", ["0.69.4", "0.69.5", "0.69.6", "v0.69.4"])
def test_the_malicious_releases_are_refused(version: str) -> None:
    with pytest.raises(ScannerUnavailableError, match="attackers"):
        check_version(parse_version(f'{{"Version":"{version}"}}'.encode(), "trivy"), TrivyConfig(), "trivy")


@pytest.mark.parametrize(
    ("version", "options", "is_accepted"),
    [
        pytest.param("0.69.3", {}, True, id="clean release"),
        pytest.param("0.70.0", {}, True, id="later release"),
        pytest.param("dev", {}, False, id="no release"),
        pytest.param("dev", {"allowed_versions": ("dev",)}, True, id="no release, but allowed"),
        pytest.param("0.70.0", {"allowed_versions": ("0.69.3",)}, False, id="not among the allowed"),
        pytest.param("0.69.4", {"allowed_versions": ("0.69.4",)}, False, id="allowed and refused"),
        pytest.param("0.60.0", {"refused_versions": ("0.60.0",)}, False, id="refused by configuration"),
    ],
)
def test_which_versions_are_used(version: str, options: dict[str, tuple[str, ...]], is_accepted: bool) -> None:
    told = parse_version(f'{{"Version":"{version}"}}'.encode(), "trivy")
    config = TrivyConfig(**options)
    if is_accepted:
        check_version(told, config, "trivy")
    else:
        with pytest.raises(ScannerUnavailableError):
            check_version(told, config, "trivy")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"Version: 0.69.3", id="text"),
        pytest.param(b'{"Version":7}', id="number"),
        pytest.param(b'{"Version":"\\u001b[31m"}', id="control characters"),
        pytest.param(b'{"Version":"0.69.3","VulnerabilityDB":{"UpdatedAt":"soon"}}', id="no date"),
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_what_is_no_version_is_refused(data: bytes) -> None:
    with pytest.raises(ScannerOutputError):
        parse_version(data, "trivy")
