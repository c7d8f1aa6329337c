"""Options of the policy ``threshold``, apart from what judges: plugins are listed without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from scanguard.hooks import PluginConfig
from scanguard.model.base import base_of
from scanguard.model.outcome import Outcome
from scanguard.model.severity import Severity

if TYPE_CHECKING:
    from scanguard.model.merged import MergedFinding


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
        from scanguard.render.text import count  # noqa: PLC0415  # only where something was found

        kind = {None: "finding", True: "fixable finding", False: "finding without a fix"}[self.fixable]
        kinds = {None: "findings", True: "fixable findings", False: "findings without a fix"}[self.fixable]
        above = "" if self.severity is Severity.CRITICAL else " or above"
        limit = f" ({self.count:,} or more are too many)" if self.count > 1 else ""
        agreed = "" if self.agree == 1 else f", reported by {'every scanner' if self.agree == 'all' else self.agree}"
        return f"{count(number, kind, kinds)} of severity {self.severity}{above}{agreed}{limit}"


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict | Rule) else value


Rules = Annotated[tuple[Rule, ...], BeforeValidator(_as_list, json_schema_input_type=Rule | list[Rule])]


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
        if self.fail is None and self.warn is None:
            yield Outcome.FAIL, Rule(severity=Severity.CRITICAL)
            yield Outcome.WARN, Rule(severity=Severity.HIGH)
        for rule in self.fail or ():
            yield Outcome.FAIL, rule
        for rule in self.warn or ():
            yield Outcome.WARN, rule
