"""Calls the OSV service: every way an HTTP call can end becomes bytes or the right error."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic import JsonValue

from scanguard.errors import (
    ScanguardError,
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
)
from scanguard.http import HttpFactory

_MAX_RETRY_AFTER_S = 3600.0


class OsvTransport:
    """A client of one OSV service; open it with ``async with``."""

    def __init__(self, http: HttpFactory, url: str, *, timeout_s: float, max_answer_bytes: int) -> None:
        self._client = http.client(base_url=url, timeout_s=timeout_s)
        self._url = url
        self._max_answer_bytes = max_answer_bytes

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def call(self, method: str, path: str, body: JsonValue = None, *, missing_ok: bool = False) -> bytes | None:
        """Send one request and read its answer; None for a 404 that the caller can live with.

        Raises ScannerThrottledError (429), ScannerUnavailableError (no connection, time-out, 5xx),
        ScannerAuthError (401, 403), ScannerOutputError (any other status, or an answer past the size limit).
        """
        try:
            async with self._client.stream(method, path, json=body) as response:
                self._refuse(response.status_code, response.headers.get("Retry-After"), path, missing_ok)
                if response.status_code == 404:
                    return None
                data = bytearray()
                async for chunk in response.aiter_bytes():
                    data += chunk
                    if len(data) > self._max_answer_bytes:
                        raise self._unreadable(path, f"is larger than {self._max_answer_bytes} bytes")
        except ScanguardError:
            raise
        except Exception as exc:  # whatever the HTTP library raises; it is imported in scanguard.http alone
            raise ScannerUnavailableError(
                f"{self._url}{path} cannot be reached ({type(exc).__name__}); check the network, or work offline",
                plugin="osv",
                target=self._url,
            ) from exc
        return bytes(data)

    def _refuse(self, status: int, retry_after: str | None, path: str, missing_ok: bool) -> None:
        if status == 200 or (status == 404 and missing_ok):
            return
        wait_s = _retry_after_s(retry_after)
        if status == 429:
            raise ScannerThrottledError(
                f"{self._url} asks to slow down (429)", plugin="osv", target=self._url, retry_after_s=wait_s
            )
        if status >= 500:
            raise ScannerUnavailableError(
                f"{self._url}{path} answered {status}", plugin="osv", target=self._url, retry_after_s=wait_s
            )
        if status in (401, 403):
            raise ScannerAuthError(
                f"{self._url} refuses us ({status}); a proxy or mirror may want credentials",
                plugin="osv",
                target=self._url,
            )
        raise self._unreadable(path, f"has status {status}, where 200 was expected")

    def _unreadable(self, path: str, problem: str) -> ScannerOutputError:
        return ScannerOutputError(f"the answer of {self._url}{path} {problem}", plugin="osv", target=self._url)


def _retry_after_s(header: str | None) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date (RFC 9110, section 10.2.3)."""
    if not header:
        return None
    try:
        seconds = float(header) if header.strip().isdigit() else _seconds_until(parsedate_to_datetime(header))
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_S)


def _seconds_until(moment: datetime) -> float:
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
