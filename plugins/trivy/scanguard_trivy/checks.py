"""Secrets, misconfigurations and licences in Trivy's words, in ours. Pure.

What is lost: of a secret, the matched text and the lines around it, on purpose; of a misconfiguration, the lines of the
file that caused it, its namespace and its references beyond the main one; of a licence, the text it was recognised by
and the layer. ``AVD-DS-0002`` of older versions is the ``DS-0002`` of newer ones. Licences are told once for each
package or file and name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from scanguard.model.finding import ComplianceCheck, SecretFinding
from scanguard_trivy.mapping import MAX_TEXT_CHARS, layer_of, one_line, severity_of
from scanguard_trivy.report import License, Misconfiguration, Result, Secret

_VERDICTS: Final = {"FAIL": False, "PASS": True}
"""Any other status (``EXCEPTION``) means that the check did not decide."""
_LICENCES: Final = {
    "forbidden": False,
    "restricted": False,
    "notice": True,
    "permissive": True,
    "unencumbered": True,
}
"""Trivy's categories (https://trivy.dev/latest/docs/scanner/license/); on others people decide."""


def map_secrets(results: Iterable[Result]) -> tuple[SecretFinding, ...]:
    """Each secret: the rule and the place, never the secret."""
    return tuple(_secret(found, result.target) for result in results for found in result.secrets or ())


def map_checks(results: Iterable[Result]) -> tuple[ComplianceCheck, ...]:
    """Misconfigurations, one for each check and file, then licences."""
    return (*_misconfigurations(results), *_licences(results))


def _secret(found: Secret, target: str) -> SecretFinding:
    return SecretFinding(
        rule=one_line(found.rule_id) or "unnamed",
        title=one_line(found.title),
        severity=severity_of(found.severity),
        path=one_line(target, MAX_TEXT_CHARS).lstrip("/"),
        line=found.start_line if found.start_line > 0 else None,
        layer=layer_of(found.layer.digest),
    )


def _misconfigurations(results: Iterable[Result]) -> Iterator[ComplianceCheck]:
    for result in results:
        for found in result.misconfigurations or ():
            yield _misconfiguration(found, result)


def _misconfiguration(found: Misconfiguration, result: Result) -> ComplianceCheck:
    file = one_line(result.target, MAX_TEXT_CHARS)
    vendor = {"file": file, "type": result.type, "status": found.status, "url": found.primary_url}
    return ComplianceCheck(
        id=one_line(found.avd_id.removeprefix("AVD-") or found.id) or "unnamed",
        title=one_line(found.title),
        passed=_VERDICTS.get(found.status),
        severity=severity_of(found.severity),
        detail=_sentences(file, found.message, found.resolution),
        vendor={key: one_line(value, MAX_TEXT_CHARS) for key, value in vendor.items() if value},
    )


def _licences(results: Iterable[Result]) -> Iterator[ComplianceCheck]:
    seen: set[str] = set()
    for result in results:
        for found in result.licenses or ():
            check = _licence(found, result.target)
            if check.id not in seen:
                seen.add(check.id)
                yield check


def _licence(found: License, target: str) -> ComplianceCheck:
    name, owner = one_line(found.name) or "unnamed", one_line(found.pkg_name or found.file_path or target)
    vendor = {"category": found.category, "licence": name, "link": found.link}
    return ComplianceCheck(
        id=f"license:{name}:{owner}",
        title=f"{owner} has the licence {name}",
        passed=_LICENCES.get(found.category.lower()),
        severity=severity_of(found.severity),
        detail=f"category {one_line(found.category) or 'unknown'}",
        vendor={key: one_line(value, MAX_TEXT_CHARS) for key, value in vendor.items() if value},
    )


def _sentences(*texts: str) -> str:
    return ": ".join(text for text in (one_line(one, MAX_TEXT_CHARS) for one in texts) if text)
