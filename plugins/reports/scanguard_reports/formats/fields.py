"""Fields of foreign reports, checked: what does not fit makes a report unreadable, never half read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict

from scanguard.model.severity import Severity

_DIGEST: Final = re.compile(r"(?:^|@)(sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128}))(?:$|[?#])", re.IGNORECASE)
_SEVERITIES: Final = {
    "critical": Severity.CRITICAL,
    "high": Severity.HIGH,
    "important": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,
    "low": Severity.LOW,
    "negligible": Severity.NEGLIGIBLE,
    "info": Severity.NEGLIGIBLE,
    "none": Severity.NEGLIGIBLE,
}


def _text(value: object) -> object:
    return "" if value is None else value


def _score(value: object) -> object:
    """A CVSS score, or None for what is none."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except ValueError:
        return None
    return number if 0 <= number <= 10 else None


def _moment(value: object) -> object:
    """A time, or None for what is none: dates are shown, nothing rests on them."""
    if not isinstance(value, str):
        return None
    text = re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", value.strip())  # Go writes nanoseconds
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC) if found.year > 1 else None


def _listed(value: object) -> object:
    return () if value is None else value


Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_listed)]
Score = Annotated[float | None, BeforeValidator(_score)]
Moment = Annotated[datetime | None, BeforeValidator(_moment)]
Nullable = BeforeValidator(_listed)
"""For lists that may be null."""


class Foreign(BaseModel):
    """Base of what a report holds: unknown keys are left out, known ones must fit."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


def severity_of(word: str) -> Severity:
    """A scanner's word for a severity; what is not known stays UNKNOWN."""
    return _SEVERITIES.get(word.strip().lower(), Severity.UNKNOWN)


def digests_in(texts: Iterable[str]) -> frozenset[str]:
    """The digests that stand at the end of references, or alone."""
    return frozenset(found[1].lower() for text in texts if (found := _DIGEST.search(text)))


def layer_of(text: str) -> str | None:
    """A layer's digest, or None for what is none."""
    found = _DIGEST.fullmatch(text)
    return found[1].lower() if found else None
