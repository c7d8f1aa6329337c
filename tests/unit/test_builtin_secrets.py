"""Secrets from the environment and from files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scanguard.builtin.secrets import MAX_SECRET_BYTES, EnvironmentSecrets, FileSecrets
from scanguard.errors import SecretError

CANARY = "canary-5f3a"


@pytest.mark.parametrize(
    ("stored", "value"),
    [
        pytest.param("s3cret", "s3cret", id="plain"),
        pytest.param("s3cret\n", "s3cret", id="line-break"),
        pytest.param("s3cret\r\n", "s3cret", id="windows-line-break"),
        pytest.param(" s3 cret ", " s3 cret ", id="spaces-belong-to-it"),
        pytest.param("-----\nabc\n-----\n", "-----\nabc\n-----", id="several-lines"),
    ],
)
async def test_a_secret_is_its_text_without_the_last_line_break(tmp_path: Path, stored: str, value: str) -> None:
    (tmp_path / "secret").write_bytes(stored.encode())
    assert (await FileSecrets().resolve(str(tmp_path / "secret"))).get_secret_value() == value
    assert (await EnvironmentSecrets({"NAME": stored}).resolve("NAME")).get_secret_value() == value


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        pytest.param({}, "not set", id="missing"),
        pytest.param({"NAME": "\n"}, "empty", id="empty"),
        pytest.param({"NAME": CANARY * MAX_SECRET_BYTES}, "longer than", id="too-long"),
        pytest.param(
            {"NAME": f"@Microsoft.KeyVault(VaultName=kv;SecretName={CANARY})"},
            "Key Vault Secrets User",
            id="platform-reference-that-was-not-resolved",
        ),
        pytest.param({"NAME": " @microsoft.keyvault(SecretUri=x)"}, "could not replace", id="the-same-in-another-case"),
    ],
)
async def test_a_variable_that_holds_no_secret_is_named(environ: dict[str, str], why: str) -> None:
    with pytest.raises(SecretError, match="env:NAME") as caught:
        await EnvironmentSecrets(environ).resolve("NAME")
    assert why in caught.value.message
    assert CANARY not in caught.value.message


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(None, "No such file", id="missing"),
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"\n", "empty", id="only-a-line-break"),
        pytest.param(CANARY.encode() * MAX_SECRET_BYTES, "longer than", id="too-long"),
        pytest.param(CANARY.encode() + b"\xff", "UTF-8", id="not-text"),
    ],
)
async def test_a_file_that_holds_no_secret_is_named_and_not_shown(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SecretError, match="file:") as caught:
        await FileSecrets().resolve(str(path))
    assert why in caught.value.message
    assert str(path) in caught.value.message
    assert CANARY not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_a_pipe_or_folder_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("\x00")):
        with pytest.raises(SecretError):
            await FileSecrets().resolve(str(path))
