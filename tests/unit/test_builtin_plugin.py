"""What scanguard brings along goes through the same hooks as any plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pluggy
import pytest

from scanguard.builtin import plugin
from scanguard.hooks import Hooks
from scanguard.testing.contexts import make_context

OFFERED = {
    "scanguard_scanners": ["scripted"],
    "scanguard_policies": ["threshold"],
    "scanguard_sinks": ["json_files"],
    "scanguard_notifiers": ["console", "webhook"],
    "scanguard_platforms": ["image", "static"],
    "scanguard_event_sources": ["eventgrid", "cloudevents"],
    "scanguard_secret_stores": ["env", "file"],
    "scanguard_registry_credentials": ["docker_config"],
}


@pytest.fixture
def hooks() -> Any:
    manager = pluggy.PluginManager("scanguard")
    manager.add_hookspecs(Hooks)
    manager.register(plugin)
    manager.check_pending()
    return manager.hook


@pytest.mark.parametrize("hook", sorted(OFFERED))
def test_each_hook_offers_what_the_documentation_says(hooks: Any, hook: str) -> None:
    (records,) = getattr(hooks, hook)()
    offered = list(records)
    assert [record.name for record in offered] == OFFERED[hook]
    assert all(record.description for record in offered)


def test_no_hook_is_implemented_that_this_test_does_not_know() -> None:
    assert {name for name in vars(plugin) if name.startswith("scanguard_")} == {*OFFERED, "scanguard_api_version"}


async def test_the_credentials_that_docker_keeps_are_found(
    hooks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "auth.json"
    file.write_text('{"auths": {"r.example": {"username": "ana", "password": "p"}}}')
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(file))
    (records,) = hooks.scanguard_registry_credentials()
    (spec,) = records
    found = await spec.build(spec.config(), make_context(tmp_path)).credential("r.example")
    assert found is not None
    assert found.username == "ana"


async def test_secrets_are_resolved_by_the_stores_on_offer(
    tmp_path: Path, hooks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCANGUARD_TEST_SECRET", "value\n")
    (records,) = hooks.scanguard_secret_stores()
    stores = {spec.name: spec.build(spec.config(), make_context(tmp_path)) for spec in records}
    assert (await stores["env"].resolve("SCANGUARD_TEST_SECRET")).get_secret_value() == "value"
