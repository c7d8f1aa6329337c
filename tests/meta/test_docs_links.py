"""Links between the pages of this repository lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from workspace import ROOT

LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]+)?(?:#([^)\s]+))?\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    patterns = ("*.md", "docs/**/*.md", "plugins/*/README.md", "examples/**/*.md")
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern))


def anchors(text: str) -> set[str]:
    """Anchors of headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in pages()])
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))

    broken = []
    for path, anchor in LINK.findall(text):
        target = page.parent / path if path else page
        if not target.exists():
            broken.append(path)
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            broken.append(f"{path}#{anchor}")
    assert not broken


def test_the_tests_that_prove_the_promises_are_there() -> None:
    named = set(re.findall(r"tests/[a-z_/*.]+", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")))
    missing = sorted(path for path in named if not any(ROOT.glob(path.rstrip("/."))))
    assert not missing
    assert len(named) > 10
