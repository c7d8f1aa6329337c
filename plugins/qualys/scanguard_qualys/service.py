"""Calls Qualys over HTTPS: every way a call can end becomes bytes or the right error."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from scanguard import http
from scanguard.errors import (
    AddressRefusedError,
    ConfigError,
    ScanguardError,
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
)
from scanguard.hooks import PluginContext
from scanguard.model.secret import SecretRef
from scanguard_qualys.config import QualysConfig
from scanguard_qualys.pods import gateway_of

_LIMIT_HEADERS: Final = ("x-ratelimit-", "x-concurrency-limit-")
_ERROR_CODE: Final = re.compile(r"([1-5][0-9]{2})(?: [A-Z_ ]{1,40})?")


class UnauthorizedError(Exception):
    """The credentials of one request were refused; somebody may have newer ones."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer, or a 404 that the caller can live with (``data`` is None)."""

    data: bytes | None


class QualysService:
    """One base address. No request is ever sent twice behind the engine's back: each one counts in the quota."""

    def __init__(self, config: QualysConfig, context: PluginContext) -> None:
        self._config = config
        self._context = context
        self._client: http.AsyncClient | None = None
        self._base = ""

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        missing_ok: bool = False,
    ) -> Reply:
        """Send one request and read its answer.

        Raises:
            UnauthorizedError: 401.
            ScannerThrottledError: 429, or 409 with the headers of a limit.
            ScannerAuthError: 403. ScannerUnavailableError: no connection, no answer in time, 5xx.
            ScannerOutputError: any other status, too much, or an error in the body of a 200.
        """
        client = await self._open()
        late = f"{self._base} did not answer {path} within {self._config.request_timeout_s:g} s"
        try:
            async with (
                http.deadline(self._config.request_timeout_s, lambda: self._unavailable(late)),
                client.stream(
                    method, self._base + path, headers=headers, params=params, json=body, data=form
                ) as response,
            ):
                self._refuse(response, path, missing_ok=missing_ok)
                if response.status_code in (204, 404):
                    return Reply(None)
                data = await http.read_capped(
                    response,
                    self._config.max_answer_bytes,
                    lambda: self._unreadable(path, f"is larger than {self._config.max_answer_bytes:,} bytes"),
                )
        except (http.HTTPError, http.InvalidURL) as exc:
            # None, because the library's exception carries the request with its credentials
            raise self._unavailable(f"{self._base} cannot be reached ({type(exc).__name__})") from None
        except AddressRefusedError as exc:
            raise ConfigError(f"instance {self._context.instance}: {exc.message}", target=self._base) from exc
        self._look_for_error(data, path)
        return Reply(data)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def _open(self) -> http.AsyncClient:
        if self._client is None:
            self._base = await self._address()
            self._client = self._context.http.client(timeout_s=self._config.request_timeout_s, attempts=1)
        return self._client

    async def _address(self) -> str:
        url = self._config.url
        if isinstance(url, SecretRef):
            found = str((await self._context.secret(url)).get_secret_value()).strip().rstrip("/")
            if not found.startswith("https://") or "@" in found:
                raise ConfigError(f"the secret {url} holds no https:// address", target=self._context.instance)
            return found
        return url or gateway_of(self._config.pod or "")

    def _refuse(self, response: http.Response, path: str, *, missing_ok: bool) -> None:
        status = response.status_code
        if status in (200, 201, 202) or (status in (204, 404) and missing_ok):
            return
        limited = any(name.startswith(_LIMIT_HEADERS) for name in response.headers)
        if status == 429 or (status == 409 and limited):
            raise ScannerThrottledError(
                f"{self._base} asks to slow down ({status}); give this instance a smaller quota if that is usual",
                plugin="qualys",
                target=self._base,
                retry_after_s=self._wait_s(response),
            )
        self._refuse_status(status, path, self._wait_s(response))

    def _refuse_status(self, status: int, path: str, wait_s: float | None) -> None:
        if status == 401:
            raise UnauthorizedError
        if status == 403:
            raise ScannerAuthError(
                f"{self._base} forbids {path} (403): the user needs the Container Security module and its API",
                plugin="qualys",
                target=self._base,
            )
        if status >= 500:
            raise ScannerUnavailableError(
                f"{self._base}{path} answered {status}", plugin="qualys", target=self._base, retry_after_s=wait_s
            )
        raise self._unreadable(path, f"has status {status}; check `mode`, `url` and `registry_id`")

    def _wait_s(self, response: http.Response) -> float | None:
        to_wait = response.headers.get("X-RateLimit-ToWait-Sec", "").strip()
        if to_wait.isascii() and to_wait.isdigit() and int(to_wait[:9]) > 0:
            return float(to_wait[:9])
        return http.retry_after_s(response, self._context.clock.now())

    def _look_for_error(self, data: bytes, path: str) -> None:
        """``{"errorCode": "500 …"}`` with status 200 means what its number says."""
        if len(data) > 4096 or b"errorCode" not in data:
            return
        try:
            document = json.loads(data)
        except ValueError:
            return  # who reads it says so
        code = document.get("errorCode") if isinstance(document, dict) else None
        found = _ERROR_CODE.fullmatch(code) if isinstance(code, str) else None
        if code is None:
            return
        if found is None or int(found[1]) < 400:
            raise self._unreadable(path, "is an error, though its status says success")
        self._refuse_status(int(found[1]), path, None)

    def _unavailable(self, message: str) -> ScanguardError:
        return ScannerUnavailableError(message, plugin="qualys", target=self._base)

    def _unreadable(self, path: str, problem: str) -> ScannerOutputError:
        return ScannerOutputError(f"the answer of {self._base}{path} {problem}", plugin="qualys", target=self._base)


async def credentials(config: QualysConfig, context: PluginContext) -> tuple[str, str]:
    """User and password; SecretError when a reference does not resolve."""
    if config.username is None or config.password is None:
        raise ConfigError(f"instance {context.instance} has no username and password", target=context.instance)
    username = await context.secret(config.username)
    password = await context.secret(config.password)
    return str(username.get_secret_value()), str(password.get_secret_value())


def refused(base: str) -> ScannerAuthError:
    """Credentials that do not work."""
    return ScannerAuthError(
        f"{base} refuses the credentials: check username and password, and that the user may use the API",
        plugin="qualys",
        target=base,
    )
