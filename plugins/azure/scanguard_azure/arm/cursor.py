"""Where an inventory stands: a small JSON text between its pages."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, Self

from pydantic import Field, ValidationError

from scanguard.errors import PlatformError
from scanguard.model.base import Instant, Model

GROUP: Final = 300
"""Most subscriptions of one query
(https://learn.microsoft.com/en-us/azure/governance/resource-graph/concepts/guidance-for-throttled-requests)."""
MAX_PROBLEMS: Final = 20
MAX_TOKEN: Final = 16 * 1024


class Cursor(Model):
    """What a page needs to know of those before it.

    Attributes:
        run: When this inventory began; every event of it says so.
        of: Which subscriptions it is of, as a hash: another list is another inventory.
        phase: ``list`` asks Resource Graph; ``verify`` reads those subscriptions that nothing was listed of.
        at: Number of the first subscription of the group that is asked for now.
        skip: Resource Graph's own token of the next page in the group.
        seen: A bit for each subscription that something was listed of.
        pages: How many pages were asked for.
        problems: Why this inventory is not whole.
    """

    run: Instant
    of: str
    phase: Literal["list", "verify"] = "list"
    at: int = Field(default=0, ge=0)
    skip: str = Field(default="", max_length=MAX_TOKEN)
    seen: str = Field(default="0", pattern=r"^[0-9a-f]{1,4096}$")
    pages: int = Field(default=0, ge=0)
    problems: tuple[str, ...] = ()

    @classmethod
    def begun(cls, subscriptions: Sequence[str], now: datetime) -> Self:
        """A new inventory."""
        return cls(run=now, of=_hash(subscriptions))

    @classmethod
    def read(cls, text: str, subscriptions: Sequence[str], now: datetime) -> Self:
        """The cursor of a page; a new inventory at its start, and when it began with other subscriptions."""
        if not text:
            return cls.begun(subscriptions, now)
        try:
            found = cls.model_validate_json(text)
        except ValidationError as exc:
            raise PlatformError(
                "the cursor of the inventory cannot be read; the next run begins anew", plugin="azure"
            ) from exc
        return found if found.of == _hash(subscriptions) else cls.begun(subscriptions, now)

    def marked(self, numbers: Sequence[int]) -> str:
        """``seen``, with these subscriptions."""
        bits = int(self.seen, 16)
        for number in numbers:
            bits |= 1 << number
        return f"{bits:x}"

    def is_seen(self, number: int) -> bool:
        """Whether anything was listed of a subscription."""
        return bool(int(self.seen, 16) >> number & 1)

    def with_problems(self, *more: str) -> tuple[str, ...]:
        """Its problems and others, each once, the first few."""
        return tuple(dict.fromkeys((*self.problems, *more)))[:MAX_PROBLEMS]

    def after(self, **changes: object) -> str:
        """The cursor of the next page."""
        return self.model_copy(update={"pages": self.pages + 1, **changes}).model_dump_json()


def _hash(subscriptions: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(subscriptions).encode()).hexdigest()[:16]
