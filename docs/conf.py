"""The documentation site; ``make docs`` builds it.

The source folder is the repository, so that a page's links lead to the same files here as on a Git host, and no page
holds anything that only this site understands: the navigation comes from the links of ``docs/index.md``.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
_PAGE_LINK = re.compile(r"\]\(([^)#:\s]+)\.md\)")
_TITLED_BLOCK = re.compile(r"^```(\w+) title=\"([^\"]+)\"$", re.MULTILINE)

project = "scanguard"
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "plugins/*/README.md",
    "plugins/qualys/SIMULATOR.md",
    "examples/third_party_*/README.md",
    "adapters/*/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = ["build", "dist", ".*", "scanguard", "tests", "plugins/*/tests", "plugins/*/scanguard_*"]
source_suffix = {".md": "markdown"}

myst_heading_anchors = 6
"""Anchors as Git hosts make them; a link to one that is not there is a warning, and ``make docs`` fails on those."""

html_theme = "furo"
html_title = f"scanguard {release}"
html_extra_path = ["site"]
html_copy_source = False
html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Put in what only this site needs, while pages are read."""
    app.connect("source-read", _add_navigation)
    app.connect("source-read", _add_captions)


def _add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    if page != root_doc:
        return
    folder = Path(page).parent
    linked = dict.fromkeys((folder / target).as_posix() for target in _PAGE_LINK.findall(source[0]))
    entries = "\n".join(f"/{_without_dots(target)}" for target in linked)
    source[0] += f"\n```{{toctree}}\n:hidden:\n\n{entries}\n```\n"


def _without_dots(path: str) -> str:
    """``docs/../CONTRIBUTING`` is ``CONTRIBUTING``."""
    return (ROOT / path).resolve().relative_to(ROOT).as_posix()


def _add_captions(app: Sphinx, page: str, source: list[str]) -> None:
    """Show the file name of a block, which a Git host leaves out."""
    source[0] = _TITLED_BLOCK.sub(r"```{code-block} \1\n:caption: \2\n", source[0])
