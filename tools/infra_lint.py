"""Checks infra/ with checkov, in an environment of its own: every finding is mended or accepted with a reason.

checkov pins versions that nothing else here could live with, takes a minute and
300 MB to install, and ends with 0 on a file that it cannot parse; so its JSON is read. Usage: ``make infra-lint``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from workspace import ROOT

INFRA: Final = ROOT / "infra"
REQUIREMENTS: Final = INFRA / "lint-requirements.txt"
ACCEPTED: Final = INFRA / "lint-accepted.json"
INSTALL_TIMEOUT_S: Final = 600
RUN_TIMEOUT_S: Final = 300

Accepted = Mapping[str, Mapping[str, str]]


class LintError(Exception):
    """checkov could not be installed or run."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found."""

    unread: tuple[str, ...]
    """Files that checkov could not parse."""
    unaccepted: tuple[str, ...]
    """Findings that nobody gave a reason for."""
    stale: tuple[str, ...]
    """Reasons for what is found no more."""
    resources: int

    @property
    def clean(self) -> bool:
        """Whether nothing is to be done."""
        return not (self.unread or self.unaccepted or self.stale)


def judge(report: Mapping[str, Any], accepted: Accepted) -> Outcome:
    """A report of checkov against the findings that are accepted."""
    results = report["results"]
    found = {
        (check["resource"], check["check_id"]): f"{check['file_path']}: {check['check_name']}"
        for check in results["failed_checks"]
    }
    known = {(resource, check) for resource, checks in accepted.items() for check in checks}
    return Outcome(
        unread=tuple(sorted(results["parsing_errors"])),
        unaccepted=tuple(f"{key[1]} {key[0]} {found[key]}" for key in sorted(found.keys() - known)),
        stale=tuple(f"{check} {resource}" for resource, check in sorted(known - found.keys())),
        resources=report["summary"]["resource_count"],
    )


def installed() -> Path:
    """The Python that has checkov; installed first where it is not."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scanguard-tests" / "checkov"
    python, stamp = cache / "bin" / "python", cache / "installed.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    venv.create(cache, clear=True, with_pip=True)
    _run([str(python), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)], INSTALL_TIMEOUT_S)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def check(python: Path) -> dict[str, Any]:
    """Run checkov over infra/; it asks nobody outside."""
    command = [str(python), "-m", "checkov.main", "-d", str(INFRA), "--framework", "bicep"]
    command += ["--skip-download", "--compact", "--soft-fail", "-o", "json"]
    report: dict[str, Any] = json.loads(_run(command, RUN_TIMEOUT_S))
    return report


def _run(command: list[str], timeout_s: float) -> str:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise LintError(f"{command[2]} did not end: {type(exc).__name__}") from exc
    if done.returncode:
        raise LintError(f"{' '.join(command[1:4])} ended with {done.returncode}:\n{done.stderr[-1500:]}")
    return done.stdout


def main() -> int:
    """Print what is to be done; 0 when nothing is, 1 when something is, 2 when checkov does not run."""
    try:
        outcome = judge(check(installed()), json.loads(ACCEPTED.read_text(encoding="utf-8")))
    except LintError as exc:
        print(exc, file=sys.stderr)
        return 2
    for title, lines in (
        ("checkov cannot parse", outcome.unread),
        ("mend, or accept with a reason in infra/lint-accepted.json", outcome.unaccepted),
        ("no longer found, so no longer to be accepted", outcome.stale),
    ):
        for line in lines:
            print(f"{title}: {line}")
    if outcome.clean:
        print(f"infra/: {outcome.resources} resources checked; every finding has a reason")
    return 0 if outcome.clean else 1


if __name__ == "__main__":
    sys.exit(main())
