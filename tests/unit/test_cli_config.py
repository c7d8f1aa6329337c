"""``scanguard config``, as people use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from scanguard.cli.context import CliContext
from scanguard.settings.load import load_settings
from scanguard.testing.commands import invoke


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def here() -> CliContext:
    return CliContext(environ={})


def test_init_writes_a_configuration_that_check_accepts_and_never_replaces_one(folder: Path) -> None:
    assert invoke(["config", "init"], context=here()).exit_code == 0
    written = (folder / "scanguard.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(written)["chains"]["default"]
    checked = invoke(["config", "check"], context=here())
    assert checked.exit_code == 0, checked.output
    assert "scanguard.yaml: good" in checked.stderr

    (folder / "scanguard.yaml").write_text("mine: 1\n")
    refused = invoke(["config", "init"], context=here())
    assert refused.exit_code == 2
    assert "is there already; --force replaces it" in refused.stderr
    assert (folder / "scanguard.yaml").read_text() == "mine: 1\n"
    assert invoke(["config", "init", "--force"], context=here()).exit_code == 0


def test_a_typo_is_told_with_file_line_key_and_the_nearest_key(folder: Path) -> None:
    invoke(["config", "init"], context=here())
    path = folder / "scanguard.yaml"
    path.write_text(path.read_text().replace("freshness:", "freshnes:"))
    result = invoke(["config", "check"], context=here())
    assert result.exit_code == 2
    assert 'chains.default.freshnes: unknown key; did you mean "freshness"?' in result.stderr
    assert result.stderr.split("scanguard.yaml:")[1].split(":")[0].isdigit()


def test_every_command_that_works_stops_at_a_broken_configuration(folder: Path) -> None:
    (folder / "scanguard.yaml").write_text("version: 1\nchains: {default: {scanners: [nobody]}}\n")
    for command in (
        ["scan", "nginx"],
        ["event", "-"],
        ["worker", "--once"],
        ["config", "check"],
        ["config", "explain"],
    ):
        result = invoke(command, context=here(), stdin=b"{}")
        assert result.exit_code == 2, command
        assert "there is no instance 'nobody'" in result.stderr


def test_the_schema_accepts_what_init_writes(folder: Path) -> None:
    invoke(["config", "init"], context=here())
    schema = json.loads(invoke(["config", "schema"], context=here()).stdout)
    config = yaml.safe_load((folder / "scanguard.yaml").read_text())
    assert set(config) <= set(schema["properties"])
    assert "Instance" in schema["$defs"]


def test_explain_says_what_applies_why_and_where_it_was_written(folder: Path) -> None:
    invoke(["config", "init"], context=here())
    scope = "scopes:\n  - match: {subscription: 'aaa*'}\n    chain: strict\n"
    path = folder / "scanguard.yaml"
    text = path.read_text().replace("chains:\n", "chains:\n  strict: {extends: default, freshness: 1h}\n", 1)
    path.write_text(text + scope)
    arguments = ["config", "explain", "--subscription", "AAA-1", "--tag", "team=shop", "--format", "json"]
    told = json.loads(invoke(arguments, context=here()).stdout)
    assert told["chain"] == "strict"
    assert told["why"][0].startswith("scope 1 (scanguard.yaml:")
    assert {"key": "freshness", "value": "1h"}.items() <= next(
        v for v in told["values"] if v["key"] == "freshness"
    ).items()
    table = invoke(arguments[:-2], context=here()).stdout
    assert "Chain strict" in table
    assert "scanguard.yaml:" in table


def test_a_tag_is_a_key_and_a_value(folder: Path) -> None:
    result = invoke(["config", "explain", "--tag", "oops"], context=here())
    assert result.exit_code == 2
    assert "write KEY=VALUE" in result.stderr


def test_defaults_apply_without_a_file() -> None:
    assert "built-in defaults: good" in invoke(["config", "check"], context=here()).stderr
    assert load_settings(None, {}).files == ()
