"""Whoever misses a plugin is told which extra brings it."""

import json

import pytest
from workspace import ROOT, members

from scanguard.loader import Plugins, extra_of, load_plugins

PLUGINS: Plugins = load_plugins({})
_, *DISTRIBUTIONS = members()
EXTRAS = {member.name: next(iter(member.pyproject["project"]["entry-points"]["scanguard"])) for member in DISTRIBUTIONS}
RECORDS = [
    pytest.param(name, EXTRAS[info.distribution], id=f"{kind}-{name}")
    for info in PLUGINS.plugins
    if info.distribution in EXTRAS
    for kind, name in info.records
    if kind not in ("command", "observer")
]


@pytest.mark.parametrize(("name", "extra"), RECORDS)
def test_a_record_is_brought_by_the_extra_that_the_error_names(name: str, extra: str) -> None:
    assert extra_of(name) == extra


def test_the_list_names_nothing_that_is_not_there() -> None:
    listed = json.loads((ROOT / "scanguard" / "extras.json").read_text(encoding="utf-8"))
    offered = {name for info in PLUGINS.plugins for _, name in info.records}
    assert {name for names in listed.values() for name in names} <= offered


def test_an_unknown_name_is_taken_for_an_extra() -> None:
    assert extra_of("acme") == "acme"
