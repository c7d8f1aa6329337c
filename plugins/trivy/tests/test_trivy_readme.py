"""The README's table of options says what the configuration does."""

from __future__ import annotations

import re
from pathlib import Path

from scanguard_trivy.config import MALICIOUS_VERSIONS, TrivyConfig

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_every_option_stands_in_the_table_with_its_description() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]* \| (.+) \|$", README, re.MULTILINE))

    assert rows == {name: field.description for name, field in TrivyConfig.model_fields.items()}


def test_the_malicious_releases_are_named() -> None:
    assert all(version in README for version in (MALICIOUS_VERSIONS[0], MALICIOUS_VERSIONS[-1]))
