"""Rules of the whole repository that no linter knows."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from workspace import ROOT

MAX_LINES = 400
SUPPRESSION = re.compile(
    r"#\s*(?:noqa(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?|type:\s*ignore(?:\[[\w,\s-]+\])?|pragma:\s*no cover)"
)
ABOUT_SUPPRESSIONS = "tests/meta/test_repository_rules.py"
MACHINE_PATHS = re.compile(r"(?<![\w./-])(?:/work/|/root/|/home/(?!user\b|me\b)\w|/Users/\w|\.\./shared\b)")


def tracked(*patterns: str) -> list[Path]:
    """Files git knows or would add; a source archive without git has none, which is said."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)  # noqa: S603  # fixed command
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def texts(*patterns: str) -> Iterator[tuple[str, str]]:
    """Repository path and text of each file that is text."""
    for path in tracked(*patterns):
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_no_source_file_is_longer_than_the_limit() -> None:
    long = {
        name: lines
        for name, text in texts("scanguard/*.py", "plugins/*.py", "adapters/*.py", "tools/*.py")
        if "/tests/" not in name and (lines := text.count("\n")) > MAX_LINES
    }

    assert not long, f"more than {MAX_LINES} lines; split by purpose: {long}"


def test_every_suppression_says_why() -> None:
    silent = [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts("*.py")
        if name != ABOUT_SUPPRESSIONS
        for number, line in enumerate(text.splitlines(), start=1)
        if SUPPRESSION.search(line) and not re.search(r"#\s*\w", SUPPRESSION.sub("", line[line.index("#") :]))
    ]

    assert not silent, "a suppression is followed by `# reason`:\n" + "\n".join(silent)


@pytest.mark.parametrize(
    ("line", "is_bare"),
    [
        pytest.param("x = 1  # noqa: S105", True, id="bare noqa"),
        pytest.param("x = 1  # noqa: S105  # a verdict, not a password", False, id="noqa with a reason"),
        pytest.param("x = f()  # type: ignore[misc]  # noqa: PLC0415", True, id="two without a reason"),
        pytest.param("x = f()  # type: ignore[misc]  # noqa: PLC0415  # slow import", False, id="two with one reason"),
    ],
)
def test_the_rule_on_suppressions_tells_bare_ones_apart(line: str, is_bare: bool) -> None:
    rest = SUPPRESSION.sub("", line[line.index("#") :])

    assert (re.search(r"#\s*\w", rest) is None) is is_bare


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in texts()
        if name != ABOUT_SUPPRESSIONS and "/data/" not in name
        for number, line in enumerate(text.splitlines(), start=1)
        if MACHINE_PATHS.search(line)
    ]

    assert not found, "\n".join(found)


def test_no_file_names_the_package_index_of_this_machine() -> None:
    hosts = package_index_hosts()

    found = [f"{name}: {host}" for name, text in texts() for host in hosts if host in text]

    assert not found, "\n".join(found)


def package_index_hosts() -> set[str]:
    """Hosts that pip is configured to ask here, the public ones aside."""
    command = ["python3", "-m", "pip", "config", "list"]
    configured = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603  # fixed command
    hosts = {urlsplit(address).hostname for address in re.findall(r"https?://[^\s'\"]+", configured)}
    return {host for host in hosts if host and host not in ("pypi.org", "files.pythonhosted.org", "localhost")}
