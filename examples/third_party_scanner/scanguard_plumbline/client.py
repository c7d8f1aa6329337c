"""The three questions the service takes, and the one place where its failures become errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from scanguard import (
    PluginContext,
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
    ScanRequest,
    ScanTargetNotFoundError,
    ScanTimeoutError,
    ScanUnsupportedError,
    http,
)

from scanguard_plumbline.config import PlumblineConfig
from scanguard_plumbline.report import Scan, ScanList

MAX_ANSWER_BYTES = 16 * 1024 * 1024
T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Answer:
    """Where a scan stands, and in how many seconds the service wants to be asked again, if it says."""

    scan: Scan
    wait_s: float | None = None


class PlumblineClient:
    """One question at a time; no connection outlives it. Every method raises ScanError."""

    def __init__(self, config: PlumblineConfig, context: PluginContext) -> None:
        self._config = config
        self._context = context

    async def submit(self, request: ScanRequest) -> Answer:
        """Ask for a scan; with the same key the service gives the scan it has."""
        image = request.image
        wanted = {
            "key": request.key,
            "digest": image.digest,
            "image": str(image.reference) if image.reference else "",
            "platform": str(image.platform),
            "profile": self._config.profile,
        }
        body, wait_s = await self._ask("POST", "/v1/scans", json=wanted)
        return Answer(self._read(Scan, body), wait_s)

    async def look_after(self, scan_id: str) -> Answer:
        """Ask where a scan stands; ``scan_id`` is from :class:`Scan`, whose grammar is safe in a path."""
        try:
            body, wait_s = await self._ask("GET", f"/v1/scans/{scan_id}")
        except ScanTargetNotFoundError as exc:
            raise ScannerUnavailableError(f"{self._config.url} no longer knows the scan {scan_id}") from exc
        return Answer(self._read(Scan, body), wait_s)

    async def find(self, key: str) -> Scan | None:
        """The newest scan with this key that did not fail."""
        body, _ = await self._ask("GET", "/v1/scans", params={"key": key})
        usable = [scan for scan in self._read(ScanList, body).scans if scan.state != "failed"]
        return usable[-1] if usable else None

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> tuple[bytes, float | None]:
        token = await self._context.secret(self._config.token)
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
        limit_s = self._config.request_timeout_s
        try:
            async with (
                http.deadline(limit_s, self._late),
                self._context.http.client(base_url=self._config.url, timeout_s=limit_s) as client,
                client.stream(method, path, json=json, params=params, headers=headers) as answer,
            ):
                wait_s = http.retry_after_s(answer, self._context.clock.now())
                self._check(answer.status_code, wait_s)
                return await http.read_capped(answer, MAX_ANSWER_BYTES, self._unreadable), wait_s
        except http.TimeoutException as exc:
            raise self._late() from exc
        except (http.HTTPError, http.InvalidURL) as exc:
            raise ScannerUnavailableError(f"{self._config.url} cannot be reached ({type(exc).__name__})") from exc

    def _check(self, status: int, wait_s: float | None) -> None:
        said = f"{self._config.url} answered {status}"
        if status in (200, 202):
            return
        if status == 429:
            raise ScannerThrottledError(f"{said}: asked to slow down", retry_after_s=wait_s)
        if status in (401, 403):
            raise ScannerAuthError(f"{said}: check the token")
        if status == 404:
            raise ScanTargetNotFoundError(f"{said}: it cannot find the image")
        if status == 422:
            raise ScanUnsupportedError(f"{said}: it cannot read this kind of image")
        if status >= 500:
            raise ScannerUnavailableError(said, retry_after_s=wait_s)
        raise ScannerOutputError(said)

    def _read(self, model: type[T], body: bytes) -> T:
        try:
            return model.model_validate_json(body)
        except ValidationError as exc:
            raise self._unreadable() from exc

    def _late(self) -> ScanTimeoutError:
        return ScanTimeoutError(f"{self._config.url} did not answer in {self._config.request_timeout_s:g} s")

    def _unreadable(self) -> ScannerOutputError:
        return ScannerOutputError(f"the answer of {self._config.url} cannot be read")
