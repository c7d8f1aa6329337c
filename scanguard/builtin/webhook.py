"""Notifier ``webhook``: verdicts as signed CloudEvents, for whatever takes an HTTP POST."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from scanguard import http
from scanguard.builtin.webhook_answers import refuse, secrets_in
from scanguard.builtin.webhook_config import WebhookConfig, check_header_value, check_url, is_loopback
from scanguard.builtin.webhook_message import WebhookMessage, build_message
from scanguard.builtin.webhook_signature import PREFIX, signature_headers, signing_key
from scanguard.errors import AddressRefusedError, NotifyError, NotifyRefusedError, SecretError
from scanguard.hooks import Notice, PluginContext
from scanguard.model.secret import SecretRef
from scanguard.ports import Receipt


@dataclass(frozen=True, slots=True, repr=False)
class _Resolved:
    """The configuration with its secrets; made for each attempt, so a changed secret is used at once."""

    url: str
    keys: Sequence[bytes]
    headers: Mapping[str, str]
    secrets: Sequence[str]

    @property
    def destination(self) -> str:
        """Scheme and host: paths and queries of webhooks hold tokens."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


class WebhookNotifier:
    """Posts each notice; no connection outlives a send."""

    def __init__(self, config: WebhookConfig, context: PluginContext) -> None:
        self._config = config
        self._context = context

    async def send(self, notice: Notice) -> Receipt:
        """Deliver; SecretError for a secret that cannot be used, else NotifyError or NotifyRefusedError."""
        resolved = await self._resolve()
        message = await asyncio.to_thread(build_message, notice, self._config)  # megabytes of JSON in full detail
        late = f"{resolved.destination} did not answer within {self._config.timeout_s:g} s"
        try:
            async with http.deadline(self._config.timeout_s, lambda: NotifyError(late, target=resolved.destination)):
                await self._post(message, resolved)
        except http.InvalidURL:
            raise NotifyRefusedError("the address is no URL: check `url`", target=resolved.destination) from None
        except http.HTTPError as exc:
            why = http.redact_text(f"{type(exc).__name__}: {exc}", secrets=resolved.secrets)
            said = f"{resolved.destination} cannot be reached ({why})"
            # None, because the library's exception carries the request: a URL and headers full of secrets
            raise NotifyError(said, target=resolved.destination) from None
        except AddressRefusedError as exc:
            raise NotifyRefusedError(f"{exc.message}: see `allow_private`", target=resolved.destination) from exc
        return Receipt(resolved.destination, message.id, self._context.clock.now())

    async def check(self) -> None:
        """Whether a notice could be sent, as far as nothing is sent: address, keys and headers resolve and are good."""
        await self._resolve()

    async def aclose(self) -> None:
        """Nothing stays open between sends."""

    async def _post(self, message: WebhookMessage, resolved: _Resolved) -> None:
        config, now = self._config, self._context.clock.now()
        client = self._context.http.client(
            timeout_s=config.timeout_s,
            ca_file=self._context.config_dir / config.ca_file if config.ca_file else None,
            addresses=config.addresses(resolved.url),
            attempts=1,
        )
        headers = {
            **resolved.headers,
            **message.headers,
            **signature_headers(message.id, now, message.body, resolved.keys),
        }
        async with client, client.stream("POST", resolved.url, content=message.body, headers=headers) as answer:
            await refuse(answer, destination=resolved.destination, secrets=resolved.secrets, now=now)

    # --- secrets ------------------------------------------------------------------------------------------

    async def _resolve(self) -> _Resolved:
        url = await self._url()
        texts = [await self._secret(reference) for reference in self._config.secrets]
        keys = [_key(reference, text) for reference, text in zip(self._config.secrets, texts, strict=True)]
        headers = {name: await self._header(value) for name, value in self._config.headers.items()}
        secret_headers = [text for name, text in headers.items() if isinstance(self._config.headers[name], SecretRef)]
        echoes = [text.removeprefix(PREFIX) for text in texts]
        return _Resolved(url, keys, headers, [*secrets_in(url), *texts, *echoes, *secret_headers])

    async def _url(self) -> str:
        configured, offline = self._config.url, self._context.offline
        url = configured if isinstance(configured, str) else (await self._secret(configured)).strip()
        try:
            check_url(url, insecure=self._config.insecure)
        except ValueError as exc:
            raise NotifyRefusedError(f"the address in {configured}: {exc}", target=str(configured)) from None
        if offline and not is_loopback(urlsplit(url).hostname or ""):
            raise NotifyError("not sent: this run is offline; a worker that is not will send it")
        return url

    async def _header(self, value: SecretRef | str) -> str:
        if isinstance(value, str):
            return value
        try:
            return check_header_value(await self._secret(value))
        except ValueError as exc:
            raise SecretError(f"the secret {value} cannot be a header: {exc}", target=str(value)) from None

    async def _secret(self, reference: SecretRef) -> str:
        return str((await self._context.secret(reference)).get_secret_value())


def _key(reference: SecretRef, text: str) -> bytes:
    try:
        return signing_key(text)
    except ValueError as exc:
        raise SecretError(f"the secret {reference} cannot sign: {exc}", target=str(reference)) from None
