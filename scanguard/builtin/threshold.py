"""Policy ``threshold``: so many findings of such a severity fail an image, or warn of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, field_validator

from scanguard.hooks import PluginConfig, PluginContext, PolicyInput
from scanguard.model.base import base_of
from scanguard.model.finding import Finding, SecretFinding
from scanguard.model.merged import MergedFinding, MergedReport
from scanguard.model.report import CoverageStatus
from scanguard.model.severity import Severity
from scanguard.model.verdict import Outcome, PolicyDecision, Reason, ScannerStatus
from scanguard.render.text import count, listing

MAX_NAMED: Final = 20
"""Finding ids that one reason names; its text says how many more there are."""


class Rule(PluginConfig):
    """At least ``count`` findings of ``severity`` or above."""

    severity: Severity = Field(description="Lowest severity that counts: NEGLIGIBLE, LOW, MEDIUM, HIGH or CRITICAL.")
    fixable: bool | None = Field(
        default=None, description="`true`: only findings with a known fix; `false`: only those without; absent: any."
    )
    count: int = Field(default=1, ge=1, description="Findings from which on the rule applies.")
    agree: Literal["all"] | Annotated[int, Field(ge=1)] = Field(
        default=1,
        description="How many scanners must report a finding for it to count: a number, or `all` that looked at the "
        "image. Never more than looked.",
    )

    @field_validator("severity", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("severity")
    @classmethod
    def _comparable(cls, value: Severity) -> Severity:
        if value is Severity.UNKNOWN:
            raise ValueError("UNKNOWN is neither above nor below any severity: say what it means with `unknown:`")
        return value

    def matches(self, item: MergedFinding, looked: int) -> bool:
        """Whether the rule counts this finding, when so many scanners looked at the image."""
        finding = item.finding
        if not (finding.severity >= self.severity and self.fixable in (None, finding.is_fixable)):
            return False
        needed = looked if self.agree == "all" else min(self.agree, looked)
        return len({base_of(name) for name in item.found_by}) >= needed

    def describe(self, number: int) -> str:
        """What was found, in words."""
        kind = {None: "finding", True: "fixable finding", False: "finding without a fix"}[self.fixable]
        kinds = {None: "findings", True: "fixable findings", False: "findings without a fix"}[self.fixable]
        above = "" if self.severity is Severity.CRITICAL else " or above"
        limit = f" ({self.count:,} or more are too many)" if self.count > 1 else ""
        agreed = "" if self.agree == 1 else f", reported by {'every scanner' if self.agree == 'all' else self.agree}"
        return f"{count(number, kind, kinds)} of severity {self.severity}{above}{agreed}{limit}"


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict | Rule) else value


Rules = Annotated[tuple[Rule, ...], BeforeValidator(_as_list, json_schema_input_type=Rule | list[Rule])]
_DEFAULT_FAIL: Final = (Rule(severity=Severity.CRITICAL),)
_DEFAULT_WARN: Final = (Rule(severity=Severity.HIGH),)


class ThresholdConfig(PluginConfig):
    """When to fail, when to warn, and what it means not to know."""

    fail: Rules | None = Field(
        default=None, description="A rule, or a list of rules, any of which fails the image. Default: see `warn`."
    )
    warn: Rules | None = Field(
        default=None,
        description=(
            "A rule, or a list of rules, any of which warns. "
            "With neither `fail` nor `warn`: CRITICAL fails and HIGH warns."
        ),
    )
    unknown: Literal["fail", "warn", "unknown", "ignore"] = Field(
        default="unknown", description="What findings of UNKNOWN severity mean."
    )
    gaps: Literal["fail", "warn", "unknown", "ignore"] = Field(
        default="unknown", description="What it means when a part of the image, or all of it, was not looked at."
    )
    exemptions: Literal["count", "honour"] = Field(
        default="count",
        description="Whether findings that are excepted in their scanner's own console count: `honour` leaves them out "
        "where everybody who reports them says so.",
    )
    secrets: Literal["fail", "warn", "ignore"] = Field(
        default="warn", description="What credentials left in the image mean."
    )

    def rules(self) -> Iterator[tuple[Outcome, Rule]]:
        """Every rule in force with the outcome it leads to."""
        is_default = self.fail is None and self.warn is None
        for rule in _DEFAULT_FAIL if is_default else self.fail or ():
            yield Outcome.FAIL, rule
        for rule in _DEFAULT_WARN if is_default else self.warn or ():
            yield Outcome.WARN, rule


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
