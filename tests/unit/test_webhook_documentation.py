"""docs/webhook.md: the options, the payload, the schema and the receiver are what the notifier has and sends."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from webhook_schema import SCHEMA_FILE
from workspace import ROOT

from scanguard.builtin.webhook import WebhookNotifier
from scanguard.builtin.webhook_config import WebhookConfig
from scanguard.builtin.webhook_data import WebhookParts, data_schema
from scanguard.builtin.webhook_message import build_message
from scanguard.errors import NotifyRefusedError
from scanguard.hooks import Notice
from scanguard.model.verdict import Outcome
from scanguard.testing.contexts import make_context
from scanguard.testing.samples import sample_image_verdict, sample_report, sample_verdict

PAGE = (ROOT / "docs" / "webhook.md").read_text(encoding="utf-8")
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
OTHER = "whsec_" + base64.b64encode(b"another key of 24 bytes!").decode()


def documented_notice() -> Notice:
    """One image with two findings, so that the example stays short."""
    report = sample_report()
    report = report.model_copy(update={"findings": report.findings[:2]})
    image = sample_image_verdict(report, Outcome.FAIL)
    verdict = sample_verdict(images=[image], new_findings=("CVE-2022-1292",), previous=Outcome.PASS)
    return Notice(key="0123456789abcdef", verdict=verdict, reports={str(image.merged): report})


def code(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"docs/webhook.md has {len(found)} blocks of {language}"
    return str(found[0])


def test_each_option_is_documented_with_its_default_and_no_other() -> None:
    section = PAGE.partition("## Options")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+?)`? \|", section, re.MULTILINE))
    defaults = {
        name: "required" if field.is_required() else as_written(field.default)
        for name, field in WebhookConfig.model_fields.items()
    }
    assert rows == defaults


def as_written(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default) if default else "none"


def test_the_payload_shown_is_what_is_sent() -> None:
    config = WebhookConfig(url="https://tickets.example", unsigned=True)
    sent = json.loads(build_message(documented_notice(), config).body)
    assert json.loads(code("json")) == sent, f"the example should be\n{json.dumps(sent, indent=2, ensure_ascii=False)}"


def test_the_schema_in_the_documentation_is_the_models() -> None:
    stored = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    assert stored == data_schema(), "run `python tools/webhook_schema.py`"
    jsonschema.Draft202012Validator.check_schema(stored)


def test_the_payload_shown_keeps_to_the_schema() -> None:
    event = json.loads(code("json"))
    assert event["dataschema"] == data_schema()["$id"]
    jsonschema.validate(event["data"], data_schema(), cls=jsonschema.Draft202012Validator)


def test_the_schema_lets_fields_be_added_and_refuses_others_left_out() -> None:
    data = json.loads(code("json"))["data"]
    more = {**data, "added_later": 1, "images": [{**data["images"][0], "added_later": 1}]}
    jsonschema.validate(more, data_schema(), cls=jsonschema.Draft202012Validator)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, "outcome": "fine"}, data_schema(), cls=jsonschema.Draft202012Validator)
    del data["truncated"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, data_schema(), cls=jsonschema.Draft202012Validator)


def test_the_page_names_every_number_that_says_what_is_missing() -> None:
    for name in ("truncated", "omitted", "total", "counts", "fixable"):
        assert f"`{name}`" in PAGE
    assert set(json.loads(code("json"))["data"]["omitted"]) == set(WebhookParts.model_fields)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The receiver of the page, listening."""
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    source = code('python title="receiver.py"')
    assert len([line for line in source.splitlines() if line.strip()]) <= 20
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(source, "receiver.py", "exec"), names)  # noqa: S102  # our own documentation
    handler = type("Quiet", (names["Receiver"],), {"log_message": lambda *args: None})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def notifier(url: str, folder: Path, *references: str, now: datetime | None = None) -> WebhookNotifier:
    context = make_context(folder, secrets={"env:RIGHT": SECRET, "env:OTHER": OTHER}, now=now or datetime.now(UTC))
    return WebhookNotifier(WebhookConfig.model_validate({"url": url, "secrets": references}), context)


@pytest.mark.parametrize(
    "references", [pytest.param(["env:RIGHT"], id="one"), pytest.param(["env:OTHER", "env:RIGHT"], id="while changing")]
)
async def test_the_receiver_shown_takes_what_is_signed_with_its_secret(
    receiver: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], references: list[str]
) -> None:
    receipt = await notifier(receiver, tmp_path, *references).send(documented_notice())
    assert receipt.reference == "0123456789abcdef"
    assert capsys.readouterr().out == "fail\n"


@pytest.mark.parametrize(
    ("reference", "now"),
    [
        pytest.param("env:OTHER", None, id="another secret"),
        pytest.param("env:RIGHT", datetime(2020, 1, 1, tzinfo=UTC), id="an old message"),
    ],
)
async def test_the_receiver_shown_refuses_the_rest(
    receiver: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], reference: str, now: datetime | None
) -> None:
    with pytest.raises(NotifyRefusedError, match="answered 401"):
        await notifier(receiver, tmp_path, reference, now=now).send(documented_notice())
    assert capsys.readouterr().out == ""
