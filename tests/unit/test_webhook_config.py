"""What the webhook's options allow, and that a wrong one is named without its value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from scanguard.app import App, AppOptions
from scanguard.builtin.webhook_config import WebhookConfig
from scanguard.errors import ConfigError
from scanguard.model.secret import SecretRef

PLAIN = {"url": "https://tickets.example/hook", "unsigned": True}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="the least"),
        pytest.param({"url": "https://tickets.example:8443/h?code=1"}, id="port and query"),
        pytest.param({"url": "http://localhost:8080/h"}, id="plain http to this machine by name"),
        pytest.param({"url": "http://127.0.0.1:8080/h"}, id="plain http to this machine by number"),
        pytest.param({"url": "http://[::1]:8080/h"}, id="plain http to this machine by its other number"),
        pytest.param({"url": "http://tickets.example/h", "insecure": True}, id="plain http, said so"),
        pytest.param({"url": "env:HOOK_URL"}, id="a reference"),
        pytest.param({"secrets": ["env:A", "file:/run/b"], "unsigned": False}, id="two secrets"),
        pytest.param({"headers": {"X-Team": "shop", "Authorization": "env:A"}}, id="headers"),
        pytest.param({"allow_private": ["hooks.internal:8443", "10.0.0.0/8"]}, id="some private addresses"),
    ],
)
def test_it_is_accepted(options: dict[str, Any]) -> None:
    WebhookConfig.model_validate({**PLAIN, **options})


def test_a_url_is_a_url_and_a_reference_a_reference() -> None:
    assert WebhookConfig.model_validate(PLAIN).url == "https://tickets.example/hook"
    assert WebhookConfig.model_validate({**PLAIN, "url": "keyvault:kv/hook"}).url == SecretRef("keyvault:kv/hook")
    headers = WebhookConfig.model_validate({**PLAIN, "headers": {"A": "env:A", "B": "a b"}}).headers
    assert headers == {"A": SecretRef("env:A"), "B": "a b"}


@pytest.mark.parametrize(
    ("options", "key", "says"),
    [
        pytest.param({"url": "http://tickets.example/c4n4ry"}, "url", "plain http", id="plain http"),
        pytest.param({"url": "http://10.1.2.3/c4n4ry"}, "url", "plain http", id="plain http in a private network"),
        pytest.param({"url": "http://localhost.evil.example/"}, "url", "plain http", id="not this machine"),
        pytest.param({"url": "https://ana:c4n4ry@tickets.example/"}, "url", "no user or password", id="a password"),
        pytest.param({"url": "ftp://tickets.example/c4n4ry"}, "url", "no URL", id="another scheme"),
        pytest.param({"url": "https:///c4n4ry"}, "url", "no URL", id="no host"),
        pytest.param({"url": "https://a.example:99999/c4n4ry"}, "url", "no URL", id="no port"),
        pytest.param({"url": "https://a.example/c4n4ry x"}, "url", "no URL", id="a space"),
        pytest.param({"url": "https://a.example/c4n4ry\nx"}, "url", "no URL", id="a line break"),
        pytest.param({"url": "tickets.example/c4n4ry"}, "url", "https://host/path", id="no scheme"),
        pytest.param({"unsigned": False}, "unsigned", "secrets", id="neither signed nor unsigned"),
        pytest.param({"secrets": ["env:A"]}, "unsigned", "one or the other", id="signed and unsigned"),
        pytest.param({"secrets": ["whsec_c4n4ry"], "unsigned": False}, "secrets", "reference", id="a secret's value"),
        pytest.param({"headers": {"authorization": "Bearer c4n4ry"}}, "headers", "reference", id="a token's value"),
        pytest.param({"headers": {"X-Api-Key": "c4n4ry"}}, "headers", "reference", id="a key's value"),
        pytest.param({"headers": {"Webhook-Id": "1"}}, "headers", "set by scanguard", id="a header of ours"),
        pytest.param({"headers": {"Content-Length": "1"}}, "headers", "set by scanguard", id="the length"),
        pytest.param({"headers": {"X-A": "a\r\nX-B: c4n4ry"}}, "headers", "one line", id="a header that makes two"),
        pytest.param({"headers": {"X A": "1"}}, "headers", "letters", id="no header name"),
        pytest.param({"headers": {"X-A": "1", "x-a": "2"}}, "headers", "twice", id="twice the same"),
        pytest.param({"max_bytes": 1000}, "max_bytes", "greater", id="too small a body"),
        pytest.param({"timeout_s": 3600}, "timeout_s", "less", id="longer than the engine waits"),
        pytest.param({"source": "two words"}, "source", "match", id="no source"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookConfig.model_validate({**PLAIN, **options})
    (fault,) = [error for error in caught.value.errors() if error["loc"][0] == key and says in error["msg"]]
    assert "c4n4ry" not in fault["msg"]


def test_what_a_user_reads_names_file_and_key_but_no_secret(tmp_path: Path) -> None:
    config = tmp_path / "scanguard.yaml"
    config.write_text(
        "version: 1\n"
        "instances:\n"
        "  hook:\n"
        "    plugin: webhook\n"
        "    url: http://tickets.example/c4n4ry\n"
        "    headers: {Authorization: Bearer c4n4ry}\n"
        "chains: {default: {scanners: {use: []}, notifiers: [{use: hook}]}}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        App.load(AppOptions(config=(config,), data_dir=tmp_path, environ={}))
    said = "\n".join(caught.value.problems)
    assert "instances.hook.url: plain http shows every notice to the network" in said
    assert "instances.hook.headers: the header Authorization holds a secret" in said
    assert "instances.hook.unsigned: give `secrets` to sign with" in said
    assert "scanguard.yaml:5" in said
    assert "c4n4ry" not in said
