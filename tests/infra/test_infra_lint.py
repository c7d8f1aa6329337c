from __future__ import annotations

import json
from typing import Any

import infra_lint
import pytest
from parts import missing
from workspace import ROOT


def report(*failed: tuple[str, str], unread: tuple[str, ...] = ()) -> dict[str, Any]:
    checks = [
        {"check_id": check, "resource": resource, "file_path": "/x.bicep", "check_name": "Ensure it"}
        for resource, check in failed
    ]
    return {"results": {"failed_checks": checks, "parsing_errors": list(unread)}, "summary": {"resource_count": 3}}


def test_a_finding_without_a_reason_is_named() -> None:
    outcome = infra_lint.judge(report(("T.a", "CKV_1"), ("T.b", "CKV_1")), {"T.a": {"CKV_1": "why"}})

    assert outcome.unaccepted == ("CKV_1 T.b /x.bicep: Ensure it",)
    assert not outcome.clean


def test_a_reason_for_what_is_mended_is_named() -> None:
    outcome = infra_lint.judge(report(), {"T.a": {"CKV_1": "why"}})

    assert outcome.stale == ("CKV_1 T.a",)


def test_a_file_that_was_not_read_is_not_clean() -> None:
    """checkov itself ends with 0."""
    outcome = infra_lint.judge(report(unread=("/infra/main.bicep",)), {})

    assert (outcome.unread, outcome.clean) == (("/infra/main.bicep",), False)


def test_the_guide_lists_every_accepted_finding() -> None:
    guide = (ROOT / "docs" / "azure" / "deploy.md").read_text(encoding="utf-8")
    accepted = json.loads(infra_lint.ACCEPTED.read_text(encoding="utf-8"))

    assert {check for checks in accepted.values() for check in checks if f"`{check}`" not in guide} == set()


@pytest.mark.integration
@pytest.mark.timeout(900)
def test_checkov_reads_every_file_and_finds_nothing_unreasoned(capsys: pytest.CaptureFixture[str]) -> None:
    code = infra_lint.main()
    printed = capsys.readouterr()
    if code == 2:
        missing(f"checkov does not run: {printed.err}")

    assert code == 0, printed.out
    assert "every finding has a reason" in printed.out
