"""The one scale of severity."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is: ``NEGLIGIBLE < LOW < MEDIUM < HIGH < CRITICAL``.

    ``UNKNOWN`` compares with nothing: every ordering comparison with it is false, as with NaN, so no
    threshold includes it by accident. A policy says what it does with it.
    """

    NEGLIGIBLE = "NEGLIGIBLE"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"
    UNKNOWN = "UNKNOWN"

    @property
    def rank(self) -> int:
        """0 for UNKNOWN, then 1 (NEGLIGIBLE) to 5 (CRITICAL): for sorting a display, not for thresholds."""
        return _RANK[self]

    def __lt__(self, other: object) -> bool:
        return self._ordered(other) and self.rank < Severity(str(other)).rank

    def __le__(self, other: object) -> bool:
        return self._ordered(other) and self.rank <= Severity(str(other)).rank

    def __gt__(self, other: object) -> bool:
        return self._ordered(other) and self.rank > Severity(str(other)).rank

    def __ge__(self, other: object) -> bool:
        return self._ordered(other) and self.rank >= Severity(str(other)).rank

    def _ordered(self, other: object) -> bool:
        if not isinstance(other, Severity):
            raise TypeError(f"a Severity is ordered only against a Severity, not {type(other).__name__}")
        return Severity.UNKNOWN not in (self, other)

    @classmethod
    def from_cvss(cls, score: float | None) -> Severity:
        """Rate a CVSS v3 or v4 base score by the qualitative scale of its specification (section 5)."""
        if score is None:
            return cls.UNKNOWN
        for least, severity in _CVSS_BANDS:
            if score >= least:
                return severity
        return cls.NEGLIGIBLE


_RANK = {
    Severity.UNKNOWN: 0,
    Severity.NEGLIGIBLE: 1,
    Severity.LOW: 2,
    Severity.MEDIUM: 3,
    Severity.HIGH: 4,
    Severity.CRITICAL: 5,
}
_CVSS_BANDS = (
    (9.0, Severity.CRITICAL),
    (7.0, Severity.HIGH),
    (4.0, Severity.MEDIUM),
    (0.1, Severity.LOW),
)
