"""Asks a Trivy server which version and database it has: every way that can end becomes an answer or the right error.

``GET /version`` and ``/healthz`` (``pkg/rpc/server/listen.go``, v0.69.3) need no token; the scan itself is Trivy's own.
"""

from __future__ import annotations

from datetime import datetime

from scanguard import http
from scanguard.errors import (
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
    ScanTimeoutError,
)
from scanguard.hooks import PluginContext
from scanguard_trivy.config import TrivyConfig
from scanguard_trivy.versions import VersionInfo, parse_version

_MAX_ANSWER_BYTES = 1024 * 1024


async def ask_server(url: str, config: TrivyConfig, context: PluginContext) -> VersionInfo:
    """Ask a server what it is.

    Raises:
        ScannerUnavailableError: It cannot be reached, or fails.
        ScannerThrottledError: Something in front of it asks to slow down.
        ScannerAuthError: Something in front of it refuses us.
        ScanTimeoutError: It does not answer.
        ScannerOutputError: It answers, but not as a Trivy server does.
    """
    async with http.deadline(config.server_timeout_s, lambda: _late(url, config)):
        body = await _get(url, config, context)
    return parse_version(body, url)


async def _get(url: str, config: TrivyConfig, context: PluginContext) -> bytes:
    ca_file = context.config_dir / config.ca_file if config.ca_file else None
    try:
        client = context.http.client(base_url=url, timeout_s=config.server_timeout_s, ca_file=ca_file)
        async with client, client.stream("GET", "/version") as answer:
            _check(answer, url, context.clock.now())
            return await http.read_capped(answer, _MAX_ANSWER_BYTES, lambda: _unreadable(url))
    except http.TimeoutException as exc:
        raise _late(url, config) from exc
    except (http.HTTPError, http.InvalidURL) as exc:
        raise ScannerUnavailableError(
            f"the Trivy server {url} cannot be reached ({type(exc).__name__})", plugin="trivy", target=url
        ) from exc


def _check(answer: http.Response, url: str, now: datetime) -> None:
    status = answer.status_code
    said = f"the Trivy server {url} answered {status}"
    if status == 429:
        wait_s = http.retry_after_s(answer, now)
        raise ScannerThrottledError(f"{said}: asked to slow down", plugin="trivy", target=url, retry_after_s=wait_s)
    if status in (401, 403):
        raise ScannerAuthError(f"{said}: something in front of it wants to know who asks", plugin="trivy", target=url)
    if status >= 500:
        wait_s = http.retry_after_s(answer, now)
        raise ScannerUnavailableError(said, plugin="trivy", target=url, retry_after_s=wait_s)
    if status != 200:
        raise ScannerOutputError(f"{said}, as no Trivy server does; check `server`", plugin="trivy", target=url)


def _late(url: str, config: TrivyConfig) -> ScanTimeoutError:
    return ScanTimeoutError(
        f"the Trivy server {url} did not answer in {config.server_timeout_s:g} s", plugin="trivy", target=url
    )


def _unreadable(url: str) -> ScannerOutputError:
    return ScannerOutputError(f"the answer of {url} is too large for a Trivy server's", plugin="trivy", target=url)
