"""Who may do what over HTTP: keys, Microsoft Entra tokens, forgeries of both."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from entra import READER, SENDER, TENANT, Tenant, bearer, private_key, public_jwk
from serving import JSON, KEY, READ_KEY, body, event, keys, serving

from scanguard.errors import ConfigError, SecretError
from scanguard.http import HttpFactory
from scanguard.server.problems import RequestRefusedError
from scanguard.server.signing_keys import COOL_DOWN_S, MAX_AGE_S, SigningKeys
from scanguard.testing.server import Answer

SENT = body(event("a"))


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        pytest.param("/events", {"aeg-sas-key": KEY}, 200, id="Event Grid's header"),
        pytest.param("/events", {"X-Scanguard-Key": KEY}, 200, id="our header"),
        pytest.param(f"/events?code={KEY}", {}, 200, id="query"),
        pytest.param("/events", {}, 401, id="nothing"),
        pytest.param("/events", {"aeg-sas-key": KEY[:-1]}, 401, id="a part of the key"),
        pytest.param("/events", {"aeg-sas-key": ""}, 401, id="empty"),
        pytest.param("/events?code=", {}, 401, id="empty query"),
        pytest.param(f"/events?Code={KEY}", {}, 401, id="another parameter"),
        pytest.param("/events", {"aeg-sas-key": "\xff" * 30}, 401, id="no ASCII"),
        pytest.param("/events", {"aeg-sas-key": READ_KEY}, 403, id="a key for reading"),
        pytest.param("/events", {"aeg-sas-key": "x" * 20, "x-scanguard-key": KEY}, 200, id="one of two"),
        pytest.param("/events", {"Authorization": f"Bearer {KEY}"}, 401, id="as a token, and none are accepted"),
        pytest.param("/events/", {"aeg-sas-key": KEY}, 404, id="another path"),
    ],
)
async def test_a_key_lets_in_what_it_is_for(tmp_path: Path, path: str, headers: dict[str, str], status: int) -> None:
    async with serving(tmp_path, keys=keys(tmp_path)) as server:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in {**JSON, **headers}.items()]
        answer = await server.client.post(path, content=SENT, headers=raw)

        assert answer.status_code == status
        assert await server.accepted() == (["a"] if status == 200 else [])
        assert KEY not in answer.text + str(answer.headers)


async def test_no_key_and_no_query_is_ever_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(tmp_path, keys=keys(tmp_path)) as server:
        await server.client.post(f"/events?code={KEY}", content=SENT, headers=JSON)
        await server.client.post(f"/events?code=wrong{KEY}", content=SENT, headers=JSON)
        await server.client.get(f"/nowhere?code={KEY}")
        await server.send(f"POST /events?code={KEY} NOTHTTP\r\n\r\n".encode())
        await server.send(f"POST /events?code={KEY} HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n".encode())

    records = [record for record in caplog.records if record.name.startswith(("scanguard.server", "uvicorn"))]
    assert len([record for record in records if record.name == "scanguard.server.requests"]) == 3
    assert KEY not in "".join(str(vars(record)) for record in records)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        pytest.param("short", ConfigError, id="too short"),
        pytest.param("x" * 600, ConfigError, id="too long"),
        pytest.param(None, SecretError, id="not there"),
    ],
)
async def test_a_key_that_is_none_stops_the_start(tmp_path: Path, value: str | None, error: type[Exception]) -> None:
    if value is not None:
        (tmp_path / "key").write_text(value, encoding="utf-8")
    with pytest.raises(error) as raised:
        async with serving(tmp_path, keys=[f"file:{tmp_path / 'key'}"]):
            raise AssertionError("it started")
    assert str(value) not in str(raised.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "scanguard.example"])  # noqa: S104  # refused
async def test_without_credentials_it_listens_on_this_machine_only(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match=r"configure server.keys or server.entra"):
        async with serving(tmp_path, host=host):
            raise AssertionError("it started")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param("localhost:8080", 200, id="localhost"),
        pytest.param("[::1]:8080", 200, id="IPv6"),
        pytest.param("127.0.0.1", 200, id="IPv4"),
        pytest.param("evil.example:8080", 421, id="a name that somebody made lead here"),
        pytest.param("127.0.0.1.evil.example", 421, id="a name that only looks right"),
        pytest.param("[", 421, id="garbage"),
    ],
)
async def test_without_credentials_it_answers_to_names_of_this_machine_only(
    tmp_path: Path, host: str, status: int
) -> None:
    async with serving(tmp_path) as server:
        answer = await server.client.post("/events", content=SENT, headers={**JSON, "Host": host})

        assert answer.status_code == status


# --- tokens -------------------------------------------------------------------------------------------------


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    tenant = Tenant()
    async with tenant.server:
        yield tenant


def unsigned(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None = None) -> str:
    """A token made by hand, signed with HMAC when a secret is given."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    text = b".".join(parts)
    signature = b"" if secret is None else hmac.digest(secret, text, hashlib.sha256)
    return b".".join([text, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def public_pem(name: str) -> bytes:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return private_key(name).public_key().public_bytes(serialization.Encoding.PEM, kind)


async def test_the_tokens_of_both_versions_are_accepted(tmp_path: Path, tenant: Tenant) -> None:
    first = {"iss": f"https://sts.windows.net/{TENANT}/", "azp": None, "appid": SENDER.upper(), "ver": "1.0"}
    async with serving(tmp_path, entra=tenant.settings()) as server:
        for changes in ({}, first, {"aud": "cccccccc-0000-0000-0000-000000000003"}):
            answer = await server.client.post("/events", content=SENT, headers=bearer(tenant.token(**changes)))
            assert answer.status_code == 200, answer.text

        assert tenant.fetches == 1


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"aud": "api://other"}, 401, id="another audience"),
        pytest.param({"aud": None}, 401, id="no audience"),
        pytest.param({"iss": "https://login.microsoftonline.com/other/v2.0"}, 401, id="another issuer"),
        pytest.param({"iss": f"https://evil.example/{TENANT}/v2.0"}, 401, id="an issuer elsewhere"),
        pytest.param({"iss": None}, 401, id="no issuer"),
        pytest.param({"tid": "99999999-2222-3333-4444-555555555555"}, 401, id="another tenant"),
        pytest.param({"tid": None}, 401, id="no tenant"),
        pytest.param({"exp": lambda now: now - 120}, 401, id="expired"),
        pytest.param({"exp": None}, 401, id="never expires"),
        pytest.param({"exp": lambda now: now - 10}, 200, id="expired within the leeway"),
        pytest.param({"nbf": lambda now: now + 600}, 401, id="not valid yet"),
        pytest.param({"nbf": None}, 401, id="no beginning"),
        pytest.param({"exp": "soon"}, 401, id="a time that is none"),
        pytest.param({"azp": None}, 401, id="no application"),
        pytest.param({"azp": 7}, 401, id="an application that is no text"),
        pytest.param({"azp": "bbbbbbbb-0000-0000-0000-000000000009"}, 403, id="another application"),
        pytest.param({"azp": READER}, 403, id="an application that may only read"),
    ],
)
async def test_a_token_must_say_the_right_things(
    tmp_path: Path, tenant: Tenant, changes: dict[str, Any], status: int
) -> None:
    async with serving(tmp_path, entra=tenant.settings()) as server:
        now = int(time.time())
        token = tenant.token(**{name: value(now) if callable(value) else value for name, value in changes.items()})
        answer = await server.client.post("/events", content=SENT, headers=bearer(token))

        assert answer.status_code == status
        assert token not in answer.text


async def test_a_forged_token_is_refused(tmp_path: Path, tenant: Tenant) -> None:
    claims = tenant.claims()
    head, payload, signature = tenant.token().split(".")
    altered = json.dumps({**claims, "exp": claims["exp"] + 1}).encode()
    deep = base64.urlsafe_b64encode(b"[" * 9000).decode().rstrip("=")
    forgeries = {
        "no algorithm": unsigned({"alg": "none", "kid": "one"}, claims),
        "no algorithm, in capitals": unsigned({"alg": "NONE", "kid": "one"}, claims),
        "the public key as a secret": unsigned({"alg": "HS256", "kid": "one"}, claims, public_pem("one")),
        "the key set as a secret": unsigned(
            {"alg": "HS256", "kid": "one"}, claims, json.dumps(public_jwk("one")).encode()
        ),
        "another key under a known id": tenant.token("two", kid="one"),
        "a key it brings along": unsigned({"alg": "RS256", "kid": "one", "jwk": public_jwk("two")}, claims),
        "no key id": unsigned({"alg": "RS256"}, claims),
        "a key id that is no text": unsigned({"alg": "RS256", "kid": ["one"]}, claims),
        "altered claims": ".".join([head, base64.urlsafe_b64encode(altered).decode().rstrip("="), signature]),
        "a signature cut off": f"{head}.{payload}.",
        "another one's signature": f"{head}.{payload}.{tenant.token(exp=1).split('.')[2]}",
        "no token": "not.a.token",
        "one part": "x",
        "deeply nested": f"{deep}.e30.x",
        "too long": "x" * 20_000,
    }
    async with serving(tmp_path, entra=tenant.settings()) as server:
        for name, token in forgeries.items():
            answer = await server.client.post("/events", content=SENT, headers=bearer(token))
            assert answer.status_code == 401, name
        assert await server.accepted() == []
        assert (
            await server.client.post("/events", content=SENT, headers=bearer(f"{head}.{payload}.{signature}"))
        ).is_success


async def test_an_event_is_not_lost_because_the_signing_keys_cannot_be_fetched(tmp_path: Path, tenant: Tenant) -> None:
    tenant.answer = Answer(500)
    async with serving(tmp_path, entra=tenant.settings()) as server:
        answer = await server.client.post("/events", content=SENT, headers=bearer(tenant.token()))

        assert answer.status_code == 503
        assert 1 <= int(answer.headers["retry-after"]) <= COOL_DOWN_S


async def test_keys_and_tokens_work_side_by_side(tmp_path: Path, tenant: Tenant) -> None:
    tenant.answer = Answer(500)
    async with serving(tmp_path, entra=tenant.settings(), keys=keys(tmp_path)) as server:
        both = {**bearer(tenant.token()), "aeg-sas-key": KEY}
        assert (await server.client.post("/events", content=SENT, headers=both)).status_code == 200
        handshake = await server.client.request(
            "OPTIONS", "/events", headers={"WebHook-Request-Origin": "eventgrid.azure.net"}
        )
        assert handshake.headers["webhook-allowed-origin"] == "eventgrid.azure.net"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_signing_keys_are_fetched_at_most_once_a_minute_and_rotate(tenant: Tenant) -> None:
    clock = Clock()
    signing = SigningKeys(f"{tenant.server.url}/{TENANT}/discovery/v2.0/keys", HttpFactory(), clock)
    try:
        assert await signing.find("one") is not None
        tenant.keys = ["two"]
        for name in ("made-up-1", "two", "made-up-2"):  # too soon to tell: neither refused for good nor fetched
            clock.now += 1
            with pytest.raises(RequestRefusedError) as refused:
                await signing.find(name)
            assert refused.value.status == 503
        assert tenant.fetches == 1

        clock.now += COOL_DOWN_S
        assert await signing.find("two") is not None
        assert await signing.find("made-up-1") is None or tenant.fetches == 2
        clock.now += MAX_AGE_S
        assert await signing.find("one") is None
        assert tenant.fetches == 3
    finally:
        await signing.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(200, b"{"), id="no JSON"),
        pytest.param(Answer(200, b"[]"), id="no key set"),
        pytest.param(Answer(200, b'{"keys": "abc"}'), id="keys that are none"),
        pytest.param(Answer(200, b'{"keys": [7, {"kty": "oct", "k": "AA", "kid": "one"}]}'), id="no RSA key"),
        pytest.param(Answer(200, json.dumps({"keys": [public_jwk("short") | {"kid": "one"}]}).encode()), id="short"),
        pytest.param(Answer(200, b" " * 300_000), id="too long"),
        pytest.param(Answer(200, b"[" * 200_000), id="deeply nested"),
        pytest.param(Answer(302, headers={"Location": "http://127.0.0.1:1/"}), id="a redirect"),
    ],
)
async def test_keys_that_cannot_be_used_leave_the_old_ones_in_use(tenant: Tenant, answer: Answer) -> None:
    clock = Clock()
    signing = SigningKeys(f"{tenant.server.url}/{TENANT}/discovery/v2.0/keys", HttpFactory(), clock)
    try:
        tenant.answer = answer
        with pytest.raises(RequestRefusedError):
            await signing.find("one")
        tenant.answer = None
        clock.now += COOL_DOWN_S
        assert await signing.find("one") is not None
        tenant.answer = answer
        clock.now += MAX_AGE_S
        assert await signing.find("one") is not None
        assert tenant.fetches == 3
    finally:
        await signing.aclose()
