"""Our identity at Azure's registries: who is shown a token, for how long, and what is said where none is given."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from acr_front import USER, AcrFront, denied
from azure_rig import Authority, loopback_http
from managed_identity import ManagedIdentity
from pydantic import ValidationError
from scanguard_azure.registry.config import AcrConfig
from scanguard_azure.registry.credentials import AcrCredentials
from scanguard_azure.registry.exchange import ends_at

from scanguard import (
    RegistryAuthError,
    RegistryError,
    RegistryRefusedError,
    RegistryThrottledError,
    RegistryUnavailableError,
)
from scanguard.testing.contexts import make_context
from scanguard.testing.memory import ManualClock
from scanguard.testing.server import Answer

ACME = "acmeco.azurecr.io"
CANARY = "canary-refresh-77aa"


@dataclass
class Rig:
    """A source of credentials, the registries' front, the identity, the clock."""

    source: AcrCredentials
    front: AcrFront
    identity: ManagedIdentity
    clock: ManualClock

    async def token(self, registry: str = ACME) -> str | None:
        found = await self.source.credential(registry)
        return None if found is None or found.identity_token is None else found.identity_token.get_secret_value()

    async def refused(self, registry: str = ACME) -> RegistryError:
        with pytest.raises(RegistryError) as caught:
            await self.source.credential(registry)
        shown = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.message}"
        assert "eyJ" not in shown
        assert CANARY not in shown
        assert registry in caught.value.message
        assert caught.value.target == registry
        return caught.value


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "*.azurecr.io", "*.azurecr.us", "evil.example")


@asynccontextmanager
async def opened(
    folder: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> AsyncIterator[Rig]:
    async with AcrFront(authority.tls, {ACME, "other.azurecr.io"}) as front, ManagedIdentity() as identity:
        for name, value in identity.environment.items():
            monkeypatch.setenv(name, value)
        clock = ManualClock(datetime.now(UTC))
        http = loopback_http(authority.ca_file, front.server.port)
        context = make_context(folder, instance="azure_acr", http=http, clock=clock)
        source = AcrCredentials(AcrConfig.model_validate({"allow": [ACME], **options}), context)
        try:
            yield Rig(source, front, identity, clock)
        finally:
            await source.aclose()


@pytest.fixture
async def rig(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    async with opened(tmp_path, authority, monkeypatch) as made:
        yield made
        assert made.front.violations == []


@pytest.fixture(autouse=True)
def _nothing_shows(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    for phase in ("setup", "call"):
        text = "\n".join(record.getMessage() for record in caplog.get_records(phase))
        assert "eyJ" not in text, "a token shows"
        assert CANARY not in text


# --- who is shown a token ---------------------------------------------------------------------------------------


async def test_an_allowed_registry_gives_a_token_for_ours_as_identity_token_and_as_password(rig: Rig) -> None:
    found = await rig.source.credential(ACME)
    assert found is not None
    assert found.username == USER
    assert found.password == found.identity_token
    assert rig.front.exchanged == [ACME]
    assert "eyJ" not in repr(found)
    assert "eyJ" not in repr(vars(rig.source))


@pytest.mark.parametrize(
    "registry",
    [
        "docker.io", "ghcr.io", "acmeco.azurecr.io.evil.example", "evil.example", "azurecr.io", "acmecoazurecr.io",
        "acmeco.azurecr.us", "acmeco.azurecr.cn", "acmeco.azurecr.io:443", "acmeco.azurecr.io:5000", "acm.azurecr.io",
        "a.b.azurecr.io", "ACMECO.azurecr.io", "acmeco.azurecr.io/", "acmeco.azurecr.io\n", "x" * 64 + ".azurecr.io",
        "user@acmeco.azurecr.io", "evil.example#.azurecr.io", "evil.example?.azurecr.io", "127.0.0.1", "",
    ],
)  # fmt: skip
async def test_what_is_no_login_server_of_this_cloud_is_shown_nothing_even_where_every_one_is_allowed(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, registry: str
) -> None:
    async with opened(tmp_path, authority, monkeypatch, allow=["*"]) as rig:
        assert await rig.source.credential(registry) is None
        assert rig.identity.issued == 0
        assert rig.front.server.requests == []


async def test_a_strangers_registry_is_shown_nothing_and_the_log_says_once_what_to_do(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert await rig.source.credential("stranger.azurecr.io") is None
    assert rig.identity.issued == 0
    assert rig.front.server.requests == []
    noted = [record.getMessage() for record in caplog.records if "stranger" in record.getMessage()]
    assert len(noted) == 1
    assert "list it under allow of the instance of azure_acr" in noted[0]


async def test_nothing_is_allowed_unless_it_is_configured(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, authority, monkeypatch, allow=[]) as rig:
        assert await rig.source.credential(ACME) is None


@pytest.mark.parametrize(
    "name", ["evil.example", "acmeco.azurecr.us", "*.azurecr.io", "acmeco", "https://acmeco.azurecr.io"]
)
def test_what_cannot_be_a_login_server_cannot_be_allowed(name: str) -> None:
    with pytest.raises(ValidationError, match="login server"):
        AcrConfig(allow=(name,))


async def test_the_token_shown_is_for_registries_only_unless_configured(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, authority, monkeypatch, audience="arm") as rig:
        assert isinstance(await rig.refused(), RegistryAuthError)
        rig.front.audiences.add("https://management.azure.com")
        assert await rig.token()


async def test_a_token_follows_no_redirect_and_no_challenge(rig: Rig) -> None:
    rig.front.answer = Answer.redirect("https://evil.example/oauth2/exchange", 307)
    assert isinstance(await rig.refused(), RegistryRefusedError)
    challenge = 'Bearer realm="https://evil.example/oauth2/token",service="evil.example"'
    rig.front.answer = denied(401, **{"WWW-Authenticate": challenge})
    assert isinstance(await rig.refused(), RegistryAuthError)
    assert rig.front.exchanged == [ACME, ACME]
    assert rig.front.seen == []


async def test_a_server_with_another_certificate_is_shown_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, Authority(tmp_path, "evil.example"), monkeypatch) as rig:
        assert isinstance(await rig.refused(), RegistryUnavailableError)
        assert rig.front.server.requests == []


# --- for how long ---------------------------------------------------------------------------------------------


async def test_a_token_is_used_until_shortly_before_it_ends(rig: Rig) -> None:
    first = await rig.token()
    rig.clock.advance(2.6 * 3600)
    assert await rig.token() == first
    rig.clock.advance(0.3 * 3600)
    second = await rig.token()
    assert second not in (None, first)
    assert len(rig.front.exchanged) == 2


async def test_many_who_ask_at_once_exchange_once(rig: Rig) -> None:
    assert len(set(await asyncio.gather(*(rig.token() for _ in range(50))))) == 1
    assert rig.front.exchanged == [ACME]
    assert rig.identity.issued == 1


async def test_each_registry_has_a_token_of_its_own(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, authority, monkeypatch, allow=[ACME, "other.azurecr.io"]) as rig:
        assert await rig.token(ACME) != await rig.token("other.azurecr.io")
        assert rig.front.exchanged == [ACME, "other.azurecr.io"]


def token_of(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("token", "minutes"),
    [
        pytest.param(token_of({"exp": NOW.timestamp().__int__() + 3600}), 54, id="an-hour"),
        pytest.param(token_of({"exp": NOW.timestamp().__int__() + 10**6}), 162, id="days-are-not-believed"),
        pytest.param(token_of({"exp": NOW.timestamp().__int__() - 60}), 0, id="ended"),
        pytest.param(token_of({"exp": 10**400}), 9, id="beyond-all-years"),
        pytest.param(token_of({"exp": "soon"}), 9, id="no-number"),
        pytest.param(token_of({"exp": True}), 9, id="a-claim"),
        pytest.param(token_of([1]), 9, id="no-claims"),
        pytest.param("opaque", 9, id="opaque"),
        pytest.param("a.%%%.c", 9, id="no-base64"),
        pytest.param("a." + base64.urlsafe_b64encode(b"[" * 9_000).decode() + ".c", 9, id="nested"),
        pytest.param("." * 1000, 9, id="dots"),
    ],
)
def test_when_a_token_ends_is_what_it_says_within_reason(token: str, minutes: int) -> None:
    assert ends_at(token, NOW) - NOW == timedelta(minutes=minutes)


# --- what is said ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        pytest.param(denied(401), RegistryAuthError, "Container Registry Repository Reader", id="401"),
        pytest.param(denied(400), RegistryAuthError, "AcrPull", id="400"),
        pytest.param(denied(403, "DENIED"), RegistryAuthError, "network rules", id="403"),
        pytest.param(denied(404), RegistryAuthError, "is it a registry of Azure", id="404"),
        pytest.param(Answer.throttled(9), RegistryThrottledError, "slow down", id="429"),
        pytest.param(Answer(503), RegistryUnavailableError, "answered 503", id="503"),
        pytest.param(Answer(200, b"canary-refresh-77aa"), RegistryUnavailableError, "no token", id="no-json"),
        pytest.param(Answer(200, b"[" * 200_000), RegistryUnavailableError, "no token", id="nested"),
        pytest.param(Answer(200, b'{"refresh_token": 5}'), RegistryUnavailableError, "no token", id="no-text"),
        pytest.param(
            Answer(200, b'{"refresh_token": "canary-refresh-77aa\\r\\nX: y"}'), RegistryUnavailableError, "no token",
            id="header-injection",
        ),
        pytest.param(Answer(200, b"x" * 300_000), RegistryUnavailableError, "no token", id="endless"),
        pytest.param(Answer.garbage(), RegistryUnavailableError, "cannot be read", id="no-http"),
        pytest.param(Answer.cut_off(b"{}", 1), RegistryUnavailableError, "cannot be read", id="cut-off"),
    ],
)  # fmt: skip
async def test_each_refusal_says_what_to_do(rig: Rig, answer: Answer, kind: type[RegistryError], says: str) -> None:
    rig.front.answer = answer
    refused = await rig.refused()
    assert type(refused) is kind
    assert says in refused.message
    assert refused.retry_after_s == (9 if kind is RegistryThrottledError else None)


async def test_a_registry_that_hangs_is_given_up(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, authority, monkeypatch, timeout_s=0.3) as rig:
        rig.front.answer = Answer.hanging()
        started = time.monotonic()
        assert isinstance(await rig.refused(), RegistryUnavailableError)
        assert time.monotonic() - started < 3


async def test_without_an_identity_the_reader_is_told_to_give_one(rig: Rig) -> None:
    rig.identity.refuses = True
    refused = await rig.refused()
    assert isinstance(refused, RegistryUnavailableError)
    assert "assign a managed identity" in refused.message
    assert rig.front.server.requests == []


async def test_a_refusal_is_not_remembered(rig: Rig) -> None:
    rig.front.answer = denied(401)
    await rig.refused()
    rig.front.answer = None
    assert await rig.token()


async def test_a_cancelled_question_ends_at_once_and_the_next_one_is_answered(rig: Rig) -> None:
    rig.front.answer = Answer.hanging()
    waiting = [asyncio.create_task(rig.token()) for _ in range(3)]
    for _ in range(500):
        if rig.front.exchanged:
            break
        await asyncio.sleep(0.01)
    started = time.monotonic()
    for task in waiting:
        task.cancel()
    assert [type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)] == [asyncio.CancelledError] * 3
    assert time.monotonic() - started < 1
    rig.front.answer = None
    assert await rig.token()
