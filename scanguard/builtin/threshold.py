"""Policy ``threshold``: so many findings of such a severity fail an image, or warn of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from scanguard.builtin.threshold_config import Rule as Rule  # noqa: PLC0414  # its home for users is here
from scanguard.builtin.threshold_config import ThresholdConfig as ThresholdConfig  # noqa: PLC0414  # as above
from scanguard.hooks import PluginContext, PolicyInput
from scanguard.model.base import base_of
from scanguard.model.finding import Finding, SecretFinding
from scanguard.model.merged import MergedFinding, MergedReport
from scanguard.model.report import CoverageStatus
from scanguard.model.severity import Severity
from scanguard.model.verdict import Outcome, PolicyDecision, Reason, ScannerStatus
from scanguard.render.text import count, listing

MAX_NAMED: Final = 20
"""Finding ids that one reason names; its text says how many more there are."""


class ThresholdPolicy:
    """Judges an image by its findings, and never lets pass what nobody looked at."""

    def __init__(self, config: ThresholdConfig, context: PluginContext) -> None:
        self._config = config
        self._name = context.instance

    async def evaluate(self, subject: PolicyInput) -> PolicyDecision:
        """Decide by the worst of every rule that applies."""
        reasons = [*self._unanswered(subject)]
        if subject.merged is not None:
            counted = [item for item in subject.merged.findings if self._counts(item.finding)]
            reasons += [*self._by_rule(subject.merged, counted), *self._by_kind(subject.merged, counted)]
        outcome = Outcome.worst(reason.outcome for reason in reasons) if reasons else Outcome.PASS
        return PolicyDecision(outcome=outcome, reasons=tuple(reasons))

    async def aclose(self) -> None:
        """Nothing to close."""

    def _unanswered(self, subject: PolicyInput) -> Iterator[Reason]:
        """No configuration turns these off: nobody looked, or nobody can say at what."""
        image = subject.image
        if subject.merged is None:
            yield self._reason(Outcome.UNKNOWN, "nobody reported on this image")
        elif not subject.merged.confirmed:
            yield self._reason(Outcome.UNKNOWN, "a scanner cannot say that it looked at this very digest")
        for scanner in image.scanners:
            if scanner.needed and scanner.status is not ScannerStatus.DONE:
                yield self._reason(Outcome.UNKNOWN, f"the scanner {scanner.instance} did not report")

    def _counts(self, finding: Finding) -> bool:
        is_honoured = finding.exempted and self._config.exemptions == "honour"
        return not finding.informational and not is_honoured

    def _by_rule(self, merged: MergedReport, counted: Sequence[MergedFinding]) -> Iterator[Reason]:
        looked = len({base_of(name) for name in merged.coverage})
        for outcome, rule in self._config.rules():
            matching = [item.finding for item in counted if rule.matches(item, looked)]
            if len(matching) >= rule.count:
                yield self._reason(outcome, rule.describe(len(matching)), matching)

    def _by_kind(self, merged: MergedReport, counted: Sequence[MergedFinding]) -> Iterator[Reason]:
        kinds = (
            (self._config.unknown, _unrated(counted)),
            (self._config.gaps, _gaps(merged)),
            (self._config.secrets, _secrets(merged)),
        )
        for meaning, found in kinds:
            if meaning != "ignore" and found is not None:
                yield self._reason(Outcome(meaning), *found)

    def _reason(self, outcome: Outcome, message: str, findings: Iterable[Finding] = ()) -> Reason:
        worst_first = sorted(findings, key=lambda finding: (-finding.severity.rank, finding.id))
        ids = tuple(dict.fromkeys(finding.id for finding in worst_first))
        more = f"; {len(ids) - MAX_NAMED:,} more ids are not named here" if len(ids) > MAX_NAMED else ""
        return Reason(policy=self._name, outcome=outcome, message=message + more, findings=ids[:MAX_NAMED])


def _unrated(counted: Sequence[MergedFinding]) -> tuple[str, Sequence[Finding]] | None:
    unrated = [item.finding for item in counted if item.finding.severity is Severity.UNKNOWN]
    return (f"{count(len(unrated), 'finding')} of UNKNOWN severity", unrated) if unrated else None


def _gaps(merged: MergedReport) -> tuple[str, Sequence[Finding]] | None:
    gaps = [
        f"{item.subject} ({'not' if item.status is CoverageStatus.NOT_COVERED else 'partly'} covered by {instance})"
        for instance, coverage in sorted(merged.coverage.items())
        for item in coverage.gaps
    ]
    gaps += [f"{instance} recognised nothing" for instance, one in sorted(merged.coverage.items()) if not one.items]
    if not merged.coverage:
        gaps.append("no scanner said how far it looked")
    return (f"not everything was looked at: {listing(gaps)}", ()) if gaps else None


def _secrets(merged: MergedReport) -> tuple[str, Sequence[Finding]] | None:
    places = [f"{secret.rule} in {_place(secret)}" for secret in merged.secrets]
    if not places:
        return None
    return f"{count(len(places), 'credential')} left in the image: {listing(places)}", ()


def _place(secret: SecretFinding) -> str:
    return secret.path if secret.line is None else f"{secret.path}:{secret.line}"
