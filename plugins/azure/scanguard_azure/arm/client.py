"""Calls Resource Manager over HTTPS: every way a call can end becomes an answer or the right error.

Facts: https://learn.microsoft.com/en-us/azure/azure-resource-manager/management/request-limits-and-throttling.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import JsonValue

from scanguard import http
from scanguard.errors import (
    AddressRefusedError,
    PlatformError,
    PlatformForbiddenError,
    PlatformThrottledError,
)
from scanguard.hooks import PluginContext
from scanguard.http.bodies import MAX_RETRY_AFTER_S
from scanguard_azure.arm.config import AzureConfig
from scanguard_azure.arm.roles import grant
from scanguard_azure.arm.tokens import ManagementTokens

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,79}")
_UNREGISTERED: Final = frozenset({"missingsubscriptionregistration", "subscriptionnotregistered"})
_MAX_ERROR_BYTES: Final = 64 * 1024
_ELSEWHERE: Final = frozenset({"subscriptionnotfound", "tenantnotfound"})
"""Codes of a 404 that say nothing of the resource: this identity's directory does not know the subscription."""
_RESETS: Final = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})(?:\.\d+)?")


class ProviderNotRegisteredError(PlatformError):
    """The subscription does not use this kind of resource at all: there is none of it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request, and what to say of it to people.

    Attributes:
        path: Of the URL, encoded; or a whole URL that :meth:`ArmClient.followed` let through.
        what: What is read, for errors.
        action: The action that the identity needs.
        scope: Where it needs it.
    """

    path: str
    what: str
    action: str
    scope: str
    api_version: str = ""
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ArmAnswer:
    """A success: its JSON object, and the headers that say how much may still be asked."""

    document: Mapping[str, JsonValue]
    headers: Mapping[str, str] = field(default_factory=dict)


class ArmClient:
    """One cloud's Resource Manager. No request is sent twice behind the engine's back: each counts in the quota."""

    def __init__(self, config: AzureConfig, context: PluginContext) -> None:
        self._config = config
        self._context = context
        self._base = config.management
        self._tokens = ManagementTokens(config, context.clock)
        self._client: http.AsyncClient | None = None

    async def ask(self, question: Question) -> ArmAnswer | None:
        """Ask; None when Azure says that what was asked for does not exist.

        Raises:
            PlatformForbiddenError: 403, or a subscription that this identity's directory does not know.
            PlatformThrottledError: 429, or 503 with a time to come back.
            PlatformError: everything else: no token, no connection, no answer in time, too much, no JSON.
        """
        token = await self._tokens.token()
        try:
            return await self._send(question, token)
        except _UnauthorizedError:
            newer = await self._tokens.renewed(token)
        try:
            if newer is not None:
                return await self._send(question, newer)
        except _UnauthorizedError:
            pass
        raise self._failed(f"does not accept the identity's token for {question.what} (401): check `cloud`")

    async def token(self) -> None:
        """Whether a token can be had. Raises PlatformError."""
        await self._tokens.token()

    def followed(self, link: JsonValue, what: str) -> str:
        """A link from an answer, which must lead to the same server; PlatformError when it does not."""
        text = link if isinstance(link, str) else ""
        try:
            parts, base = urlsplit(text), urlsplit(self._base)
            is_same = (parts.scheme, parts.hostname, parts.port or 443) == ("https", base.hostname, base.port or 443)
        except ValueError:
            is_same = False
        if not is_same or "@" in parts.netloc or len(text) > 8192 or not text.isascii() or not text.isprintable():
            raise self._failed(f"continues {what} at another address, which is not followed")
        return f"{self._base}{parts.path}?{parts.query}"

    async def aclose(self) -> None:
        """Close connections and credential."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
        await self._tokens.aclose()

    async def _send(self, question: Question, token: str) -> ArmAnswer | None:
        client = self._open()
        seconds = self._config.request_timeout_s
        url = question.path if question.path.startswith("https://") else self._base + question.path
        try:
            async with (
                http.deadline(seconds, lambda: self._failed(f"did not answer for {question.what} in {seconds:g} s")),
                client.stream(
                    "GET" if question.body is None else "POST",
                    url,
                    params={"api-version": question.api_version} if question.api_version else None,
                    json=question.body,
                    headers={"Authorization": f"Bearer {token}"},
                ) as response,
            ):
                return await self._read(response, question)
        except (http.HTTPError, http.InvalidURL) as exc:
            # None, because the library's exception carries the request with its token
            raise self._failed(f"cannot be reached ({type(exc).__name__})") from None
        except AddressRefusedError as exc:
            raise self._failed(f"is not asked: {exc.message}") from exc

    async def _read(self, response: http.Response, question: Question) -> ArmAnswer | None:
        status = response.status_code
        if status == 200:
            limit = self._config.max_answer_bytes
            body = await http.read_capped(
                response, limit, lambda: self._failed(f"answers for {question.what} with more than {limit:,} bytes")
            )
            return ArmAnswer(self._object(body, question), response.headers)
        if status == 401:
            raise _UnauthorizedError
        if status == 429 or (status == 503 and "Retry-After" in response.headers):
            raise PlatformThrottledError(
                f"{self._base} asks to slow down ({status}) while {question.what} is read",
                plugin="azure",
                target=question.scope,
                retry_after_s=_wait_s(response, self._context),
            )
        code = await self._code(response)
        if status == 404 and code.lower().endswith("notfound") and code.lower() not in _ELSEWHERE:
            return None
        raise self._refused(question, status, code)

    def _refused(self, question: Question, status: int, code: str) -> PlatformError:
        said = f"{status} {code}".strip()
        if status == 403:
            return PlatformForbiddenError(
                f"{self._base} forbids to read {question.what} ({said}): {grant(question.action, question.scope)}",
                plugin="azure",
                target=question.scope,
            )
        if code.lower() in _ELSEWHERE:
            return PlatformForbiddenError(
                f"{self._base} does not know the subscription of {question.what} ({said}): it is gone, or belongs to "
                "another directory than the identity",
                plugin="azure",
                target=question.scope,
            )
        if code.lower() in _UNREGISTERED:
            return ProviderNotRegisteredError(f"{question.scope} does not have {question.what} ({said})")
        return self._failed(f"answers {said} for {question.what}", question.scope)

    async def _code(self, response: http.Response) -> str:
        """``error.code`` of a refusal; empty when there is none that can be shown."""
        try:
            body = await http.read_capped(response, _MAX_ERROR_BYTES, lambda: self._failed("says too much"))
            error = json.loads(body)["error"]
            code = error["code"]
        except (PlatformError, ValueError, LookupError, TypeError, RecursionError):
            return ""
        return code if isinstance(code, str) and _CODE.fullmatch(code) else ""

    def _object(self, body: bytes, question: Question) -> Mapping[str, JsonValue]:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise self._failed(f"answers for {question.what} with something that is not JSON") from exc
        if not isinstance(document, dict):
            raise self._failed(f"answers for {question.what} with no JSON object")
        return document

    def _open(self) -> http.AsyncClient:
        if self._client is None:
            self._client = self._context.http.client(timeout_s=self._config.request_timeout_s, attempts=1)
        return self._client

    def _failed(self, problem: str, target: str = "") -> PlatformError:
        return PlatformError(f"{self._base} {problem}", plugin="azure", target=target or self._base)


class _UnauthorizedError(Exception):
    """The token was refused."""


def _wait_s(response: http.Response, context: PluginContext) -> float | None:
    wait = http.retry_after_s(response, context.clock.now())
    return wait if wait is not None else resets_after_s(response.headers)


def resets_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds until Resource Graph's quota is full again, from ``x-ms-user-quota-resets-after`` (hh:mm:ss)."""
    found = _RESETS.fullmatch(headers.get("x-ms-user-quota-resets-after", "").strip())
    if found is None:
        return None
    hours, minutes, seconds = map(int, found.groups())
    return min(float(hours * 3600 + minutes * 60 + seconds), MAX_RETRY_AFTER_S)
