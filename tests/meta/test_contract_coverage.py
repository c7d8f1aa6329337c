"""No plugin goes without its contract test."""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from workspace import ROOT

HOOKS = {
    "scanguard_scanners": "ScannerContract",
    "scanguard_sinks": "SinkContract",
    "scanguard_notifiers": "NotifierContract",
    "scanguard_policies": "PolicyContract",
    "scanguard_event_sources": "EventSourceContract",
    "scanguard_secret_stores": "SecretStoreContract",
    "scanguard_backends": "BackendContract",
}
SUBCLASS = re.compile(r"class \w+\((\w+Contract)\):\n\s+plugin = \"([\w.]+)\"\n\s+name = \"([\w-]+)\"")


def modules() -> Iterator[tuple[str, Path]]:
    """Each module with hooks, and where its contract tests are."""
    yield "scanguard.builtin.plugin", ROOT / "tests" / "contract"
    for path in sorted(ROOT.glob("plugins/*/pyproject.toml")):
        points = tomllib.loads(path.read_text(encoding="utf-8"))["project"].get("entry-points", {})
        for module in points.get("scanguard", {}).values():
            yield module, path.parent / "tests"


@pytest.mark.parametrize(("module", "tests"), [pytest.param(*each, id=each[0]) for each in modules()])
def test_everything_a_module_offers_has_a_contract_test(module: str, tests: Path) -> None:
    plugin = importlib.import_module(module)
    offered = {
        (suite, module, record.name) for hook, suite in HOOKS.items() for record in getattr(plugin, hook, tuple)()
    }
    tested = {found for path in tests.glob("test_*.py") for found in SUBCLASS.findall(path.read_text(encoding="utf-8"))}
    assert offered
    assert offered <= tested
