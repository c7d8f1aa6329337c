"""The documentation site builds without a warning, leads everywhere, and a link that leads nowhere fails the build."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from workspace import ROOT

PARTS = ("docs", "examples", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "pyproject.toml")

pytestmark = pytest.mark.timeout(120)


class Page(HTMLParser):
    """The links and anchors of a built page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.links.add(value)
            if name in ("id", "name") and value is not None:
                self.anchors.add(value)


def build(source: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """Run the command of ``make docs`` on another source and output folder."""
    (line,) = re.findall(r"^\t\$\(BIN\)/sphinx-build (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    options = line.replace("build/doctrees", str(output / "doctrees")).split()
    assert options[-2:] == [".", "build/docs"]
    command = [sys.executable, "-m", "sphinx", *options[:-1], str(output / "html")]
    return subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)  # noqa: S603  # our own command


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("site")
    done = build(ROOT, output)
    assert (done.returncode, done.stderr) == (0, "")
    return output / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_page_of_the_documentation_is_in_the_navigation(site: Path) -> None:
    sources = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]
    html = (site / "docs" / "index.html").read_text(encoding="utf-8")
    sidebar = html.partition('class="sidebar-tree"')[2].partition("</div>")[0]
    shown = {(site / "docs" / unquote(link)).resolve() for link in re.findall(r'href="([^"#]+)"', sidebar)}
    expected = {site / path.relative_to(ROOT).with_suffix(".html") for path in sources} - {site / "docs" / "index.html"}
    assert len(expected) > 5
    assert expected <= shown


def test_every_relative_link_and_anchor_of_the_site_resolves(site: Path, pages: dict[Path, Page]) -> None:
    broken, checked = [], 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            checked += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                broken.append(f"{path.relative_to(site)}: {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                broken.append(f"{path.relative_to(site)}: {link} (no such anchor)")
    assert checked > 100
    assert not broken, "\n".join(sorted(broken))


def test_the_first_page_leads_to_the_documentation(pages: dict[Path, Page], site: Path) -> None:
    assert "docs/index.html" in pages[site / "index.html"].links


def test_titles_of_code_blocks_are_shown(site: Path) -> None:
    assert "receiver.py" in (site / "docs" / "webhook.html").read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r"<(?:script|link|img)\b[^>]*\b(?:src|href)=\"(https?:)?//[^\"]+\"")
    foreign = {path.name for path in site.rglob("*.html") if loaded.search(path.read_text(encoding="utf-8"))}
    assert not foreign


def test_a_link_that_leads_nowhere_and_a_page_without_navigation_fail_the_build(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in PARTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(ROOT / name, source / name)
    for readme in ROOT.glob("plugins/*/README.md"):
        (source / readme.relative_to(ROOT)).parent.mkdir(parents=True)
        shutil.copy(readme, source / readme.relative_to(ROOT))
    with (source / "docs" / "cli.md").open("a", encoding="utf-8") as page:
        page.write("\n[a](nowhere.md) [b](webhook.md#nowhere) [c](#nowhere-here) [d](../examples/nowhere.json)\n")
    (source / "docs" / "lost.md").write_text("# Lost\n", encoding="utf-8")

    done = build(source, tmp_path / "output")

    assert done.returncode != 0
    for target in ("'nowhere.md'", "'nowhere'", "'nowhere-here'", "'../examples/nowhere.json'"):
        assert target in done.stderr, f"nothing is said of {target}:\n{done.stderr}"
    assert "lost.md: WARNING: document isn't included in any toctree" in done.stderr
