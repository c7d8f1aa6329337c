"""The whole way: the demo's image is scanned, and its verdict reaches an HTTPS receiver through the real outbox."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from pathlib import Path

import pytest
import trustme
import yaml
from standardwebhooks import Webhook
from workspace import ROOT

from scanguard.app import App, AppOptions
from scanguard.app.stored import deliveries_of
from scanguard.engine.documents import OutboxItem, OutboxState
from scanguard.model.verdict import Verdict
from scanguard.testing.commands import invoke
from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

DEMO = ROOT / "examples" / "demo"
NEW = "whsec_" + base64.b64encode(b"the key that comes......").decode()
OLD = "whsec_" + base64.b64encode(b"the key that is replaced").decode()


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppOptions:
    """The demo's advisories imported, and two signing secrets."""
    monkeypatch.setenv("WEBHOOK_NEW", NEW)
    monkeypatch.setenv("WEBHOOK_OLD", OLD)
    data, config = tmp_path / "data", tmp_path / "scanguard.yaml"
    snapshot = next((DEMO / "advisories").glob("*.zip"))
    imported = invoke(["--data-dir", str(data), "osv", "import", str(snapshot)])
    assert imported.exit_code == 0, imported.output
    return AppOptions(config=(config,), data_dir=data)


class Receiver:
    """An HTTPS server with a certificate of an authority of its own; notes when each request came."""

    def __init__(self, folder: Path, *answers: Answer) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(tls)
        self._answers = list(answers)
        self.times: list[float] = []
        self.server = LoopbackServer(self._answer, tls=tls)

    async def _answer(self, request: ReceivedRequest) -> Answer:
        self.times.append(time.monotonic())
        return self._answers.pop(0)


async def deliver(options: AppOptions, receiver: Receiver) -> tuple[Verdict, OutboxItem]:
    """Scan the demo's image and work until nothing is left to do."""
    async with receiver.server as server:
        webhook = {
            "plugin": "webhook",
            "url": f"{server.url}/hook",
            "secrets": ["env:WEBHOOK_NEW", "env:WEBHOOK_OLD"],
            "ca_file": "ca.pem",
        }
        configuration = {
            "version": 1,
            "engine": {"backoff_s": 0.05, "max_backoff_s": 0.1},
            "instances": {"osv": {"plugin": "osv", "mode": "offline"}, "tickets": webhook},
            "chains": {"default": {"scanners": ["osv"], "notifiers": [{"use": "tickets"}], "sinks": []}},
        }
        (options.config or ())[0].write_text(yaml.safe_dump(configuration), encoding="utf-8")
        async with App.load(options) as app, asyncio.timeout(30):
            (name,) = await app.accept_images([f"oci-archive:{DEMO / 'image.tar'}"])
            await app.work(idle_exit=True)
            verdict = await app.verdict(name)
            (item,) = await deliveries_of(app.backend, name)
    assert verdict is not None
    return verdict, item


async def test_a_receiver_that_fails_and_throttles_gets_the_same_event_until_it_takes_it(
    options: AppOptions, tmp_path: Path
) -> None:
    receiver = Receiver(tmp_path, Answer(500), Answer(429, headers={"Retry-After": "1"}), Answer(204))

    verdict, item = await deliver(options, receiver)

    requests = receiver.server.requests
    assert len(requests) == 3
    assert {request.headers["webhook-id"] for request in requests} == {item.id}
    assert len({request.body for request in requests}) == 1
    assert receiver.times[2] - receiver.times[1] >= 1.0, "it asked to be left alone for a second"
    for request in requests:
        for secret in (NEW, OLD):
            event = Webhook(secret).verify(request.body, dict(request.headers))
    assert event["id"] == item.id
    assert event["data"]["verdict"] == verdict.id
    assert event["data"]["outcome"] == verdict.outcome
    assert event["data"]["counts"]["CRITICAL"] == 6, "of langchain 0.0.170"
    assert event["data"]["images"][0]["digest"] == verdict.images[0].image.digest  # type: ignore[union-attr]  # resolved
    assert {gap["subject"] for gap in event["data"]["gaps"]} == {"Debian:12", "PyPI"}
    assert (item.state, item.attempts, item.reference) == (OutboxState.DONE, 2, item.id)


async def test_a_receiver_that_is_gone_is_asked_once_and_the_dead_letter_says_why(
    options: AppOptions, tmp_path: Path
) -> None:
    receiver = Receiver(tmp_path, Answer(410, b"bye"))

    _, item = await deliver(options, receiver)

    assert len(receiver.server.requests) == 1
    assert (item.state, item.attempts, item.error_kind) == (OutboxState.DEAD, 1, "NotifyRefusedError")
    assert "answered 410 (bye): the receiver is gone for good" in item.error
