"""Where reports are: a folder, or an HTTP store."""

from __future__ import annotations

import asyncio
from typing import Protocol
from urllib.parse import quote

from scanguard import http
from scanguard.errors import (
    AddressRefusedError,
    ConfigError,
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
)
from scanguard.hooks import PluginContext
from scanguard_reports.config import ReportsConfig


class Store(Protocol):
    """A place with reports."""

    def where(self, path: str) -> str:
        """A report's place in words."""

    async def read(self, path: str) -> bytes | None:
        """A report; None when there is none. Raises ScanError."""

    async def check(self) -> None:
        """Whether the place is there."""

    async def aclose(self) -> None:
        """Close what is open."""


def store_of(config: ReportsConfig, context: PluginContext) -> Store:
    """The place that a configuration names."""
    return FolderStore(config, context) if config.folder is not None else HttpStore(config, context)


class FolderStore:
    """Reports as files."""

    def __init__(self, config: ReportsConfig, context: PluginContext) -> None:
        self._folder = context.config_dir / (config.folder or "")
        self._max_bytes = config.max_bytes

    def where(self, path: str) -> str:
        """The file."""
        return str(self._folder / path)

    async def read(self, path: str) -> bytes | None:
        """A report; None when there is none."""
        return await asyncio.to_thread(self._read, path)

    async def check(self) -> None:
        """Whether the folder is there."""
        if not await asyncio.to_thread(self._folder.is_dir):
            raise ScannerUnavailableError(f"there is no folder {self._folder}; see `folder`", plugin="reports")

    async def aclose(self) -> None:
        """Nothing stays open."""

    def _read(self, path: str) -> bytes | None:
        file = self._folder / path
        try:
            if not file.resolve(strict=True).is_relative_to(self._folder.resolve()):
                raise ScannerOutputError(f"{file} leads out of the folder of reports", plugin="reports")
            with file.open("rb") as opened:
                data = opened.read(self._max_bytes + 1)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise ScannerUnavailableError(f"{file} cannot be read: {exc.strerror}", plugin="reports") from exc
        if len(data) > self._max_bytes:
            raise ScannerOutputError(
                f"{file} has more than {self._max_bytes:,} bytes; see `max_bytes`", plugin="reports"
            )
        return data


class HttpStore:
    """Reports behind a base address, read with GET."""

    def __init__(self, config: ReportsConfig, context: PluginContext) -> None:
        self._config = config
        self._context = context
        self._base = (config.url or "").rstrip("/")
        self._client: http.AsyncClient | None = None

    def where(self, path: str) -> str:
        """The address."""
        return f"{self._base}/{quote(path)}"

    async def read(self, path: str) -> bytes | None:
        """A report; None for a 404."""
        return await self._get(self.where(path))

    async def check(self) -> None:
        """Whether the store answers and lets us in; a report that is not there is a good answer."""
        await self._get(f"{self._base}/scanguard-doctor")

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def _get(self, url: str) -> bytes | None:
        client, headers = self._open(), await self._headers()
        late = f"{self._base} did not answer within {self._config.request_timeout_s:g} s"
        try:
            async with (
                http.deadline(self._config.request_timeout_s, lambda: self._unavailable(late)),
                client.stream("GET", url, headers=headers) as response,
            ):
                if response.status_code == 404:
                    return None
                self._refuse(response)
                return await http.read_capped(response, self._config.max_bytes, self._too_large)
        except http.HTTPError as exc:
            # None, because the library's exception carries the request with its token
            raise self._unavailable(f"{self._base} cannot be reached ({type(exc).__name__})") from None
        except AddressRefusedError as exc:
            raise ConfigError(f"instance {self._context.instance}: {exc.message}", target=self._base) from exc

    def _open(self) -> http.AsyncClient:
        if self._client is None:
            ca_file = self._context.config_dir / self._config.ca_file if self._config.ca_file else None
            timeout_s = self._config.request_timeout_s
            self._client = self._context.http.client(timeout_s=timeout_s, ca_file=ca_file, attempts=1)
        return self._client

    async def _headers(self) -> dict[str, str]:
        if self._config.token is None:
            return {}
        token = str((await self._context.secret(self._config.token)).get_secret_value()).strip()
        return {"Authorization": f"Bearer {token}"}

    def _refuse(self, response: http.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        wait_s = http.retry_after_s(response, self._context.clock.now())
        if status == 429:
            raise ScannerThrottledError(f"{self._base} asks to slow down (429)", plugin="reports", retry_after_s=wait_s)
        if status in (401, 403):
            raise ScannerAuthError(f"{self._base} refuses us ({status}); check `token`", plugin="reports")
        if status >= 500:
            raise ScannerUnavailableError(f"{self._base} answered {status}", plugin="reports", retry_after_s=wait_s)
        raise ScannerOutputError(f"{self._base} answered {status}, where 200 or 404 was due", plugin="reports")

    def _too_large(self) -> ScannerOutputError:
        limit = self._config.max_bytes
        return ScannerOutputError(f"a report of {self._base} has more than {limit:,} bytes", plugin="reports")

    def _unavailable(self, message: str) -> ScannerUnavailableError:
        return ScannerUnavailableError(message, plugin="reports", target=self._base)
