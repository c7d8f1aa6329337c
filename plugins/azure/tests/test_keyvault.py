"""Secrets from Key Vault: which are given, for how long, and what is said where none is."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from azure_rig import Authority, loopback_transport
from managed_identity import ManagedIdentity
from pydantic import ValidationError
from scanguard_azure.clouds import CloudName
from scanguard_azure.vault import store as store_module
from scanguard_azure.vault.config import KeyVaultConfig
from scanguard_azure.vault.reference import VaultReference
from scanguard_azure.vault.store import KeyVaultSecrets
from vault_simulator import VaultSimulator, error

from scanguard import SecretError, SecretUnavailableError
from scanguard.testing.contexts import make_context
from scanguard.testing.memory import ManualClock
from scanguard.testing.samples import NOW
from scanguard.testing.server import Answer

CANARY = "canary-9b1f-secret"
TOKEN = "kv-security/Token"
SAID = "someone@example.com"


@dataclass
class Rig:
    """A store, its vault, its identity, its clock."""

    store: KeyVaultSecrets
    vault: VaultSimulator
    identity: ManagedIdentity
    clock: ManualClock

    async def value(self, locator: str = TOKEN) -> str:
        return (await self.store.resolve(locator)).get_secret_value()

    async def refused(self, locator: str = TOKEN) -> SecretError:
        with pytest.raises(SecretError) as caught:
            await self.store.resolve(locator)
        shown = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.message}"
        assert CANARY not in shown
        assert SAID not in shown
        assert locator in caught.value.message
        return caught.value


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "*.vault.azure.net", "*.vault.azure.cn")


@pytest.fixture
async def rig(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    async with opened(tmp_path, authority, monkeypatch) as made:
        made.vault.put("kv-security", "Token", CANARY)
        yield made
        assert made.vault.violations == []


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "ANSWER_TIMEOUT_S", 0.5)


@pytest.fixture(autouse=True)
def _nothing_shows(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test does: no value, no token and no person in any log, Azure's own libraries included."""
    caplog.set_level(logging.DEBUG)
    yield
    for phase in ("setup", "call"):
        text = "\n".join(record.getMessage() for record in caplog.get_records(phase))
        assert CANARY not in text
        assert SAID not in text
        assert "eyJ" not in text


@asynccontextmanager
async def opened(
    folder: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, **options: object
) -> AsyncIterator[Rig]:
    async with VaultSimulator(authority.tls) as vault, ManagedIdentity() as identity:
        for name, value in identity.environment.items():
            monkeypatch.setenv(name, value)
        clock = ManualClock(NOW)
        context = make_context(folder, instance="keyvault", clock=clock)
        config = KeyVaultConfig.model_validate(options)
        store = KeyVaultSecrets(config, context, loopback_transport(authority.ca_file, vault.server.port))
        try:
            yield Rig(store, vault, identity, clock)
        finally:
            await store.aclose()


# --- which secret -------------------------------------------------------------------------------------------


async def test_a_secret_is_its_newest_version_or_the_one_that_is_named(rig: Rig) -> None:
    first = rig.vault.put("kv-other", "Key", "first\n")
    rig.vault.put("kv-other", "Key", "second")
    assert await rig.value("kv-other/Key") == "second"
    assert await rig.value(f"kv-other/Key/{first}") == "first"
    assert rig.vault.asked == [("kv-other", "Key", ""), ("kv-other", "Key", first)]


@pytest.mark.parametrize(
    "locator",
    [
        "kv-security", "kv-security/", "/Token", "kv/Token", "k" * 25 + "/Token", "1kv-security/Token", "kv--x/Token",
        "kv-security-/Token", "kv-security/To.ken", "kv-security/Token/latest", "kv-security/Token/" + "A" * 32,
        "kv-security/Token/", "evil.example/Token", "kv-security@evil.example/Token", "kv-security/Token?x=1",
        "kv-security/../keys/x", "kv-security/Token\n", "\uff4bv-security/Token", "kv-security/" + "t" * 128,
        "kv-security/Token/" + "1" * 32 + "/x",
    ],
)  # fmt: skip
def test_what_is_no_name_of_a_vault_a_secret_and_a_version_asks_nobody(locator: str) -> None:
    with pytest.raises(SecretError, match="is no reference keyvault:vault/secret"):
        VaultReference.parse(locator)


def test_a_long_wrong_reference_is_not_repeated_whole() -> None:
    with pytest.raises(SecretError) as caught:
        VaultReference.parse("x" * 100_000)
    assert len(caught.value.message) < 600


def test_the_vaults_of_each_cloud_are_asked_at_its_own_domain() -> None:
    suffixes = {cloud: KeyVaultConfig(cloud=cloud).suffix for cloud in CloudName}
    assert suffixes[CloudName.CHINA] == "vault.azure.cn"
    assert suffixes[CloudName.US_GOVERNMENT] == "vault.usgovcloudapi.net"
    own = KeyVaultConfig(dns_suffix="vault.cloud.example")
    assert own.scope == "https://vault.cloud.example/.default"
    with pytest.raises(ValidationError):
        KeyVaultConfig(dns_suffix="evil.example/x?")


# --- for how long ---------------------------------------------------------------------------------------------


async def test_a_vault_is_asked_once_in_fifteen_minutes_and_a_new_value_is_used_after_that(rig: Rig) -> None:
    assert [await rig.value() for _ in range(3)] == [CANARY] * 3
    rig.vault.put("kv-security", "Token", "rotated")
    rig.clock.advance(timedelta(seconds=899).total_seconds())
    assert await rig.value() == CANARY
    rig.clock.advance(timedelta(seconds=2).total_seconds())
    assert await rig.value() == "rotated"
    assert len(rig.vault.asked) == 2


async def test_a_named_version_is_kept_for_hours_and_not_for_ever(rig: Rig) -> None:
    version = rig.vault.put("kv-security", "Token", "pinned")
    await rig.value(f"{TOKEN}/{version}")
    rig.clock.advance(timedelta(hours=5).total_seconds())
    await rig.value(f"{TOKEN}/{version}")
    assert len(rig.vault.asked) == 1
    rig.clock.advance(timedelta(hours=2).total_seconds())
    await rig.value(f"{TOKEN}/{version}")
    assert len(rig.vault.asked) == 2


async def test_many_who_ask_at_once_ask_the_vault_once(rig: Rig) -> None:
    assert await asyncio.gather(*(rig.value() for _ in range(50))) == [CANARY] * 50
    assert len(rig.vault.asked) == 1


async def test_many_who_ask_at_once_share_the_failure_too(rig: Rig) -> None:
    rig.vault.answer = error(503, "ServiceUnavailable")
    failures = await asyncio.gather(*(rig.store.resolve(TOKEN) for _ in range(20)), return_exceptions=True)
    assert {type(one) for one in failures} == {SecretUnavailableError}
    assert len({id(one) for one in failures}) == 20
    assert len(rig.vault.asked) == 1


async def test_who_is_cancelled_leaves_the_question_to_the_next(rig: Rig) -> None:
    first = asyncio.create_task(rig.value())
    others = [asyncio.create_task(rig.value()) for _ in range(3)]
    await asyncio.sleep(0.01)
    first.cancel()
    assert await asyncio.gather(*others) == [CANARY] * 3


async def test_a_secret_is_used_until_it_ends_and_not_longer(rig: Rig) -> None:
    ends = NOW + timedelta(minutes=5)
    rig.vault.put("kv-security", "Token", CANARY, exp=int(ends.timestamp()))
    assert await rig.value() == CANARY
    rig.clock.advance(timedelta(minutes=6).total_seconds())
    assert "it ended on" in (await rig.refused()).message
    rig.vault.answer = error(503, "x")
    assert (await rig.refused()).is_retryable


async def test_while_the_vault_is_down_the_old_value_is_used_for_hours_and_the_log_says_so(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.value()
    rig.vault.answer = error(503, "ServiceUnavailable")
    rig.clock.advance(timedelta(hours=1).total_seconds())
    assert [await rig.value() for _ in range(5)] == [CANARY] * 5
    assert len(rig.vault.asked) == 2, "it is asked again a minute later, not each time"
    assert "using the value of 60 minutes ago: name=keyvault:kv-security/Token" in caplog.text
    assert "answered 503" in caplog.text
    rig.clock.advance(timedelta(seconds=61).total_seconds())
    await rig.value()
    assert len(rig.vault.asked) == 3
    rig.clock.advance(timedelta(hours=4).total_seconds())
    assert (await rig.refused()).is_retryable
    rig.vault.answer = None
    assert await rig.value() == CANARY


async def test_a_vault_that_says_when_to_come_again_is_left_alone_until_then(rig: Rig) -> None:
    await rig.value()
    rig.vault.answer = error(429, "Throttled", headers={"Retry-After": "600"})
    rig.clock.advance(timedelta(hours=1).total_seconds())
    await rig.value()
    rig.clock.advance(timedelta(seconds=599).total_seconds())
    await rig.value()
    assert len(rig.vault.asked) == 2


@pytest.mark.parametrize(
    "answer", [error(403, "Forbidden", inner="ForbiddenByRbac"), error(404, "SecretNotFound")], ids=["403", "404"]
)
async def test_what_is_taken_away_is_not_used_any_more(rig: Rig, answer: Answer) -> None:
    await rig.value()
    rig.clock.advance(timedelta(hours=1).total_seconds())
    rig.vault.answer = answer
    assert not (await rig.refused()).is_retryable
    rig.vault.answer = error(503, "x")
    await rig.refused()


async def test_old_values_can_be_forbidden(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, authority, monkeypatch, stale_s=0, fresh_s=10) as rig:
        rig.vault.put("kv-security", "Token", CANARY)
        await rig.value()
        rig.vault.answer = error(500, "x")
        rig.clock.advance(timedelta(seconds=11).total_seconds())
        await rig.refused()


# --- what is said ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "says", "retry"),
    [
        pytest.param(error(403, "Forbidden", inner="ForbiddenByRbac"), "Key Vault Secrets User", False, id="rbac"),
        pytest.param(error(403, "Forbidden", inner="AccessDenied"), "secret permission Get", False, id="access-policy"),
        pytest.param(error(403, "Forbidden", inner="ForbiddenByFirewall"), "network rules", False, id="firewall"),
        pytest.param(error(403, "Forbidden", inner="ForbiddenByConnection"), "private endpoint", False, id="private"),
        pytest.param(error(403, "Forbidden", inner="SecretDisabled"), "it is disabled", False, id="disabled"),
        pytest.param(error(403, "Forbidden"), "Key Vault Secrets User", False, id="forbidden-without-a-reason"),
        pytest.param(error(403, "Forbidden", inner=CANARY), "network rules", False, id="unknown-reason-is-not-shown"),
        pytest.param(Answer(403, b"<html>canary-9b1f-secret</html>"), "403", False, id="forbidden-by-a-proxy"),
        pytest.param(error(401, "Unauthorized"), "vault's tenant", False, id="unauthorized"),
        pytest.param(error(404, "SecretNotFound"), "no such secret", False, id="missing"),
        pytest.param(error(429, "Throttled", headers={"Retry-After": "7"}), "slow down", True, id="throttled"),
        pytest.param(error(500, "InternalServerError"), "answered 500", True, id="broken"),
        pytest.param(error(400, "BadParameter"), "answered 400", False, id="bad-request"),
        pytest.param(Answer.redirect("https://evil.example/secrets/Token"), "answered 302", False, id="redirect"),
        pytest.param(Answer(200, b'{"value": "canary-9b1f-secret"'), "unreadable", True, id="broken-json"),
        pytest.param(Answer(200, b"canary-9b1f-secret", {"Content-Type": "text/html"}), "unreadable", True, id="html"),
        pytest.param(Answer(200, b"[1, 2]", {"Content-Type": "application/json"}), "unreadable", True, id="list"),
        pytest.param(Answer.garbage(b"canary-9b1f-secret\r\n\r\n"), "cannot be reached", True, id="no-http"),
        pytest.param(Answer.cut_off(b'{"value": "canary-9b1f-secret"}', 20), "cannot be reached", True, id="cut-off"),
        pytest.param(
            Answer(200, b"canary-9b1f-secret", {"Content-Encoding": "gzip"}), "unreadable", True, id="compressed"
        ),
        pytest.param(Answer(200, b"[" * 100_000), "unreadable", True, id="nested"),
        pytest.param(Answer(200, b'"' + b"x" * 300_000 + b'"'), "more than", True, id="endless"),
        pytest.param(
            Answer(200, json.dumps({"value": CANARY, "attributes": {"exp": 10**30}}).encode()), "unreadable", True,
            id="an-end-beyond-all-years",
        ),
        pytest.param(Answer(200, json.dumps({"value": " "}).encode()), "it is empty", False, id="empty"),
        pytest.param(Answer(200, json.dumps({"value": None}).encode()), "it is empty", False, id="null"),
        pytest.param(Answer(200, json.dumps({"value": {"a": CANARY}}).encode()), "unreadable", True, id="no-text"),
    ],
)  # fmt: skip
async def test_each_refusal_says_what_to_do(rig: Rig, answer: Answer, says: str, retry: bool) -> None:
    rig.vault.answer = answer
    refused = await rig.refused()
    assert says in refused.message
    assert refused.is_retryable is retry
    assert refused.target == f"keyvault:{TOKEN}"


async def test_being_told_to_slow_down_says_for_how_long(rig: Rig) -> None:
    rig.vault.answer = error(429, "Throttled", headers={"Retry-After": "7"})
    assert (await rig.refused()).retry_after_s == 7


@pytest.mark.usefixtures(short_patience.__name__)
async def test_a_vault_that_hangs_is_given_up(rig: Rig) -> None:
    rig.vault.hangs.add("Token")
    refused = await rig.refused()
    assert isinstance(refused, SecretUnavailableError)
    assert "did not answer within" in refused.message


async def test_a_vault_that_is_not_there_can_be_tried_again(rig: Rig) -> None:
    await rig.vault.server.__aexit__()
    refused = await rig.refused()
    assert isinstance(refused, SecretUnavailableError)
    assert "there may be no vault of this name" in refused.message


async def test_a_vault_that_asks_for_a_token_of_something_else_gets_none(rig: Rig) -> None:
    rig.vault.resource = "https://management.azure.com"
    assert "a token that is not for Key Vault" in (await rig.refused("kv-strange/Token")).message
    assert rig.identity.issued == 0
    assert rig.vault.asked == []


async def test_a_server_with_another_certificate_gets_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Authority(tmp_path, "evil.example")
    async with opened(tmp_path, wrong, monkeypatch) as rig:
        assert "cannot be reached" in (await rig.refused("kv-false/Token")).message
        assert rig.vault.server.requests == []
        assert rig.identity.issued == 0


async def test_without_an_identity_the_reader_is_told_to_give_one(rig: Rig) -> None:
    rig.identity.refuses = True
    refused = await rig.refused()
    assert "assign a managed identity" in refused.message
    with pytest.raises(SecretError, match="assign a managed identity"):
        await rig.store.check()


async def test_the_check_needs_an_identity_and_no_secret(rig: Rig) -> None:
    await rig.store.check()
    assert rig.vault.server.requests == []
