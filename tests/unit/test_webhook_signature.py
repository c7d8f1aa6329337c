"""Signatures are those of Standard Webhooks: its library verifies them, and its example comes out."""

from __future__ import annotations

import base64
import traceback
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from scanguard.builtin.webhook_signature import signature_headers, signing_key

OLD = "whsec_" + base64.b64encode(b"the old key of 24 bytes.").decode()
NEW = "whsec_" + base64.b64encode(bytes(range(200, 264 - 8))).decode()
OTHER = "whsec_" + base64.b64encode(b"nobody has this key here").decode()
BODY = '{"a":"Käse 🐳","b":" x\\n"}'.encode()


def test_the_example_of_the_specifications_libraries_comes_out() -> None:
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    sent_at = datetime.fromtimestamp(1614265330, UTC)
    headers = signature_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", sent_at, b'{"test": 2432232314}', [key])
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("known", [pytest.param(OLD, id="the old secret"), pytest.param(NEW, id="the new secret")])
def test_while_a_secret_is_changed_a_receiver_needs_one_of_the_two(known: str) -> None:
    headers = signature_headers("id-1", datetime.now(UTC), BODY, [signing_key(NEW), signing_key(OLD)])
    assert len(headers["webhook-signature"].split(" ")) == 2
    Webhook(known).verify(BODY, headers, json_parse=False)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"webhook-id": "id-2"}, id="id"),
        pytest.param({"webhook-timestamp": str(int(datetime.now(UTC).timestamp()) - 60)}, id="time"),
        pytest.param({"body": BODY + b" "}, id="body"),
        pytest.param({"secret": OTHER}, id="secret"),
    ],
)
def test_a_signature_covers_id_time_and_body(change: dict[str, str | bytes]) -> None:
    headers = signature_headers("id-1", datetime.now(UTC), BODY, [signing_key(OLD)])
    given = {"secret": OLD, "body": BODY, **headers, **change}
    secret, body = str(given.pop("secret")), given.pop("body")
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, {name: str(value) for name, value in given.items()}, json_parse=False)


def test_without_a_secret_there_is_no_signature() -> None:
    assert set(signature_headers("id-1", datetime.now(UTC), BODY, [])) == {"webhook-id", "webhook-timestamp"}


def test_base64_without_its_padding_is_the_same_key() -> None:
    assert signing_key(NEW.rstrip("=")) == signing_key(NEW) == bytes(range(200, 256))


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        pytest.param("hunter2-hunter2", "not whsec_ and base64", id="a password"),
        pytest.param(base64.b64encode(b"k" * 24).decode(), "does not start with whsec_", id="no prefix"),
        pytest.param("whsec_" + base64.b64encode(b"k" * 23).decode(), "23 bytes", id="too short"),
        pytest.param("whsec_" + base64.b64encode(b"k" * 65).decode(), "65 bytes", id="too long"),
        pytest.param("whsec_", "0 bytes", id="nothing"),
        pytest.param("whsec_Zm9v YmFy", "not whsec_ and base64", id="a space"),
    ],
)
def test_what_is_no_signing_secret_is_refused_and_not_shown(secret: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        signing_key(secret)
    shown = "".join(traceback.format_exception(caught.value))
    assert secret.removeprefix("whsec_") not in shown or secret == "whsec_"
