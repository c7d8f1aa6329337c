"""What the webhook sends over a real connection, and what it makes of every kind of answer."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import trustme
from standardwebhooks import Webhook

from scanguard.builtin.webhook import WebhookNotifier
from scanguard.builtin.webhook_config import WebhookConfig
from scanguard.errors import NotifyError, NotifyRefusedError, ScanguardError, SecretError
from scanguard.hooks import PluginContext
from scanguard.http import HttpFactory
from scanguard.testing.contexts import make_context
from scanguard.testing.contracts.delivery import sample_notice
from scanguard.testing.memory import ManualClock
from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIGNING = "whsec_" + base64.b64encode(b"the key of these tests..").decode()
SECRETS = {"env:SIGNING": SIGNING, "env:AUTH": "Bearer c4n4ry-c4n4ry", "env:BROKEN": "hunter2hunter2"}


def serve(*answers: Answer, tls: ssl.SSLContext | None = None) -> LoopbackServer:
    """A server that gives these answers in turn, the last one for ever."""
    left = list(answers)

    async def handler(request: ReceivedRequest) -> Answer:
        return left.pop(0) if len(left) > 1 else left[0]

    return LoopbackServer(handler, tls=tls)


def webhook(
    folder: Path, url: str, *, context: PluginContext | None = None, now: datetime = NOW, **options: Any
) -> WebhookNotifier:
    config = WebhookConfig.model_validate({"url": url, "secrets": ["env:SIGNING"], **options})
    return WebhookNotifier(config, context or make_context(folder, secrets=SECRETS, now=now))


def just_now() -> datetime:
    """The time of this test, which a receiver's tolerance is measured from; :data:`NOW` may be minutes old."""
    return datetime.now(UTC).replace(microsecond=0)


async def failure(notifier: WebhookNotifier) -> ScanguardError:
    with pytest.raises(ScanguardError) as caught:
        await notifier.send(sample_notice())
    return caught.value


# --- what is sent -----------------------------------------------------------------------------------------


async def test_a_notice_is_one_signed_event(tmp_path: Path) -> None:
    async with serve(Answer(202)) as server:
        receipt = await webhook(tmp_path, f"{server.url}/hook?code=1", now=just_now()).send(sample_notice("key-1"))
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/hook?code=1")
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    event = Webhook(SIGNING).verify(request.body, dict(request.headers))
    assert {name: event[name] for name in ("specversion", "id", "type", "source")} == {
        "specversion": "1.0",
        "id": "key-1",
        "type": "scanguard.verdict.v1",
        "source": "urn:scanguard",
    }
    assert event["subject"] == event["data"]["deployment"]["resource_id"]
    assert request.headers["webhook-id"] == "key-1"
    assert (receipt.destination, receipt.reference) == (server.url, "key-1")


async def test_in_binary_mode_the_attributes_are_headers_and_the_data_is_the_body(tmp_path: Path) -> None:
    now = just_now()
    async with serve(Answer(204)) as server:
        await webhook(tmp_path, server.url, now=now, mode="binary", source="urn:x:100%").send(sample_notice())
        await webhook(tmp_path, server.url, now=now, mode="structured").send(sample_notice())
    binary, structured = server.requests
    assert binary.headers["content-type"] == "application/json"
    event = json.loads(structured.body)
    assert Webhook(SIGNING).verify(binary.body, dict(binary.headers)) == event.pop("data")
    event.pop("datacontenttype")
    attributes = {name[3:]: unquote(value) for name, value in binary.headers.items() if name.startswith("ce-")}
    assert attributes == {**event, "source": "urn:x:100%"}
    assert binary.headers["ce-source"] == "urn:x:100%25"


async def test_every_attempt_is_signed_anew_under_the_same_id_and_with_the_same_body(tmp_path: Path) -> None:
    now = just_now()
    clock = ManualClock(now - timedelta(minutes=1))
    async with serve(Answer(503), Answer(200)) as server:
        secrets = {**SECRETS, "env:URL": f"{server.url}/\n"}
        notifier = webhook(tmp_path, "env:URL", context=make_context(tmp_path, secrets=secrets, clock=clock))
        with pytest.raises(NotifyError):
            await notifier.send(sample_notice())
        clock.moment = now
        await notifier.send(sample_notice())
    first, second = server.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 60
    assert first.body == second.body
    for request in server.requests:
        Webhook(SIGNING).verify(request.body, dict(request.headers))


async def test_an_unsigned_notice_has_an_id_and_no_signature(tmp_path: Path) -> None:
    async with serve(Answer()) as server:
        await webhook(tmp_path, server.url, secrets=[], unsigned=True).send(sample_notice("key-1"))
    assert server.requests[0].headers["webhook-id"] == "key-1"
    assert "webhook-signature" not in server.requests[0].headers


async def test_configured_headers_go_along(tmp_path: Path) -> None:
    async with serve(Answer()) as server:
        headers = {"X-Team": "shop", "Authorization": "env:AUTH"}
        await webhook(tmp_path, server.url, headers=headers).send(sample_notice())
    assert server.requests[0].headers["x-team"] == "shop"
    assert server.requests[0].headers["authorization"] == "Bearer c4n4ry-c4n4ry"


@pytest.mark.parametrize("key", [pytest.param("a.b", id="a dot"), pytest.param("ä\r\nX: 1" * 99, id="anything")])
async def test_an_id_never_breaks_the_signature_or_a_header(tmp_path: Path, key: str) -> None:
    async with serve(Answer()) as server:
        for _ in range(2):
            await webhook(tmp_path, server.url).send(sample_notice(key))
    first, second = (request.headers["webhook-id"] for request in server.requests)
    assert first == second
    assert first.isalnum()


# --- what is answered -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507])
async def test_what_may_go_better_later_is_tried_again(tmp_path: Path, status: int) -> None:
    async with serve(Answer(status, headers={"Retry-After": "90"})) as server:
        error = await failure(webhook(tmp_path, server.url))
    assert (type(error), error.is_retryable, error.retry_after_s) == (NotifyError, True, 90.0)
    assert len(server.requests) == 1, "trying again is the outbox's business"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 415, 422])
async def test_what_will_not_go_better_is_given_up(tmp_path: Path, status: int) -> None:
    async with serve(Answer(status, b"no")) as server:
        error = await failure(webhook(tmp_path, server.url))
    assert (type(error), error.is_retryable) == (NotifyRefusedError, False)
    assert f"answered {status} (no): " in error.message


async def test_a_receiver_that_is_gone_says_what_to_do(tmp_path: Path) -> None:
    async with serve(Answer(410)) as server:
        error = await failure(webhook(tmp_path, server.url))
    assert "take this instance out of the chains, or correct its `url`" in error.message


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param(format_datetime(NOW + timedelta(minutes=2), usegmt=True), 120.0, id="a date"),
        pytest.param(format_datetime(NOW - timedelta(hours=1), usegmt=True), 0.0, id="a date that is over"),
        pytest.param("99999999999", 6 * 3600.0, id="for ever"),
        pytest.param("soon", None, id="garbage"),
        pytest.param("-5", None, id="negative"),
    ],
)
async def test_the_wait_asked_for_is_read_and_bounded(tmp_path: Path, header: str, seconds: float | None) -> None:
    async with serve(Answer(503, headers={"Retry-After": header})) as server:
        error = await failure(webhook(tmp_path, server.url))
    assert error.retry_after_s == seconds


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_said(tmp_path: Path, status: int) -> None:
    async with serve(Answer()) as elsewhere:
        location = {"Location": f"{elsewhere.url}/c4n4ry"}
        async with serve(Answer(status, headers=location)) as server:
            error = await failure(webhook(tmp_path, server.url, headers={"Authorization": "env:AUTH"}))
    assert isinstance(error, NotifyRefusedError)
    assert "a redirect, which is not followed: configure the final address" in error.message
    assert elsewhere.requests == []


async def test_a_refusal_is_quoted_in_two_hundred_characters_without_what_we_sent(tmp_path: Path) -> None:
    echo = f"\x1b[31mno\r\n entry Bearer c4n4ry-c4n4ry for /t0ken-in-path?sig=t0ken-in-query signed {SIGNING} "
    async with serve(Answer(400, (echo + "x" * 10_000).encode())) as server:
        url = f"{server.url}/t0ken-in-path?sig=t0ken-in-query"
        error = await failure(webhook(tmp_path, url, headers={"Authorization": "env:AUTH"}))
    for secret in ("c4n4ry", "t0ken", SIGNING, SIGNING.removeprefix("whsec_")):
        assert secret not in error.message
    quoted = error.message.partition("(")[2].rpartition(")")[0]
    assert quoted.startswith("[31mno entry ***")
    assert len(quoted) == 200
    assert error.target == server.url


async def test_an_answer_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)

    async with asyncio.timeout(5):
        async with serve(Answer(200, stream=endless())) as server:
            await webhook(tmp_path, server.url).send(sample_notice())
        async with serve(Answer(500, stream=endless())) as server:
            error = await failure(webhook(tmp_path, server.url))
    assert error.message == f"{server.url} answered 500"


async def test_a_receiver_that_trickles_is_given_up_in_time_and_tried_again(tmp_path: Path) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.05)

    async with serve(Answer(500, stream=trickle())) as server:
        error = await failure(webhook(tmp_path, server.url, timeout_s=0.3))
    assert error.is_retryable
    assert "did not answer within 0.3 s" in error.message


# --- where it may go --------------------------------------------------------------------------------------


async def test_a_certificate_nobody_vouches_for_is_a_failure_to_try_again(tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with serve(Answer(), tls=tls) as server:
        error = await failure(webhook(tmp_path, server.url))
        assert error.is_retryable
        assert "CERTIFICATE_VERIFY_FAILED" in error.message
        assert server.requests == []
        await webhook(tmp_path, server.url, ca_file="ca.pem").send(sample_notice())
    assert len(server.requests) == 1


async def resolve_to_loopback(host: str, port: int) -> list[tuple[str, int]]:
    return [("127.0.0.1", port)]


async def test_a_name_that_leads_into_our_own_network_is_refused_unless_allowed(tmp_path: Path) -> None:
    http = HttpFactory(resolve=resolve_to_loopback)
    context = make_context(tmp_path, secrets=SECRETS, http=http, now=NOW)
    async with serve(Answer()) as server:
        url = f"http://hooks.example:{server.port}/"
        error = await failure(webhook(tmp_path, url, context=context, insecure=True))
        assert isinstance(error, NotifyRefusedError)
        assert "a loopback address, which is not allowed here: see `allow_private`" in error.message
        assert server.requests == []
        options: dict[str, Any] = {"insecure": True, "allow_private": [f"hooks.example:{server.port}"]}
        await webhook(tmp_path, url, context=context, **options).send(sample_notice())
    assert len(server.requests) == 1


async def test_a_url_from_a_secret_keeps_the_same_rules(tmp_path: Path) -> None:
    for url in ("http://tickets.example/c4n4ry-c4n4ry", "https://ana:c4n4ry@tickets.example/", "c4n4ry"):
        context = make_context(tmp_path, secrets={**SECRETS, "env:URL": url}, now=NOW)
        error = await failure(webhook(tmp_path, "env:URL", context=context))
        assert isinstance(error, NotifyRefusedError)
        assert error.message.startswith("the address in env:URL: ")
        assert "c4n4ry" not in error.message


async def test_offline_nothing_leaves_this_machine_and_the_notice_waits(tmp_path: Path) -> None:
    offline = make_context(tmp_path, secrets=SECRETS, offline=True, now=NOW)
    error = await failure(webhook(tmp_path, "https://tickets.example/", context=offline))
    assert error.is_retryable
    assert "offline" in error.message
    async with serve(Answer()) as server:
        await webhook(tmp_path, server.url, context=offline).send(sample_notice())
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param({"secrets": ["env:BROKEN"]}, "the secret env:BROKEN cannot sign", id="a secret that cannot sign"),
        pytest.param({"secrets": ["env:NONE"]}, "env:NONE is not set", id="a secret that is not there"),
        pytest.param({"headers": {"X-A": "env:LINES"}}, "the secret env:LINES cannot be a header", id="two lines"),
    ],
)
async def test_a_secret_that_cannot_be_used_is_named_and_nothing_is_sent(
    tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    context = make_context(tmp_path, secrets={**SECRETS, "env:LINES": "hunter2hunter2\r\nX-B: 1"}, now=NOW)
    async with serve(Answer()) as server:
        error = await failure(webhook(tmp_path, server.url, context=context, **options))
    assert isinstance(error, SecretError)
    assert says in error.message
    assert "hunter2" not in error.message
    assert server.requests == []
