"""Configurations shown in the documentation, and those of the examples, are accepted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from workspace import ROOT

from scanguard.errors import ConfigError
from scanguard.settings.load import parse_settings
from scanguard.settings.source import read_text

BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def pages() -> Iterator[Path]:
    for pattern in ("*.md", "docs/**/*.md", "plugins/*/README.md"):
        yield from sorted(ROOT.glob(pattern))


def configurations() -> Iterator[tuple[str, str]]:
    """Whole configurations, and lone ``instances`` sections, which a minimal rest is put around."""
    for page in pages():
        for number, block in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")), start=1):
            name = f"{page.relative_to(ROOT).as_posix()} block {number}"
            if block.startswith("version:"):
                yield name, block
            elif block.startswith("instances:"):
                yield name, f"version: 1\nchains: {{default: {{}}}}\n{block}"
    for path in sorted(ROOT.glob("examples/**/scanguard*.yaml")):
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "text"), [pytest.param(name, text, id=name) for name, text in configurations()])
def test_a_documented_configuration_is_accepted(name: str, text: str) -> None:
    settings = parse_settings(read_text(text, name))

    used = {scanner for chain in settings.chains.values() for scanner in chain.scanners.use or ()}
    assert {name.partition("@")[0] for name in used} <= set(settings.instances)


def test_a_documented_configuration_with_a_typo_would_be_seen() -> None:
    with pytest.raises(ConfigError):
        parse_settings(read_text("version: 1\nchains: {default: {scaners: {use: [osv]}}}\n", "typo"))
