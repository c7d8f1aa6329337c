"""Values that are asked for once and used for a while: secrets, registry tokens."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pydantic import SecretStr

from scanguard import Clock, ScanguardError

MAX_KEPT: Final = 512
ASK_AGAIN_AFTER: Final = timedelta(minutes=1)
"""While an old value is used because nobody answers, how long until the next question."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A value that was just got, and when it ends by itself."""

    value: SecretStr
    ends_at: datetime | None = None


@dataclass(slots=True)
class _Entry:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    value: SecretStr | None = None
    got_at: datetime | None = None
    fresh_until: datetime | None = None
    stale_until: datetime | None = None
    failures: int = 0
    error: ScanguardError | None = None


class KeptValues:
    """One question at a time for each key; its answer, or its error, is everybody's who waited.

    Args:
        clock: The time.
        log: Says when an old value is used.
        stale: How long past its time a value is still used while the other side does not answer (retryable errors). A
            refusal (any other error) ends a value at once.
    """

    def __init__(self, clock: Clock, log: logging.Logger, *, stale: timedelta = timedelta(0)) -> None:
        self._clock = clock
        self._log = log
        self._stale = stale
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    async def get(self, key: str, fresh: timedelta, fetch: Callable[[], Awaitable[Fetched]]) -> SecretStr:
        """The value of a key, from memory for ``fresh`` after it was got; raises what ``fetch`` raises.

        ``key`` is shown in the log, the value never.
        """
        entry = self._entry(key)
        if (known := self._known(entry)) is not None:
            return known
        failures = entry.failures
        async with entry.lock:
            if (known := self._known(entry)) is not None:
                return known
            if entry.error is not None and entry.failures > failures:  # somebody asked while this caller waited
                raise _again(entry.error)
            return await self._ask(key, entry, fresh, fetch)

    def _entry(self, key: str) -> _Entry:
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_KEPT:
            self._entries.popitem(last=False)
        return entry

    def _known(self, entry: _Entry) -> SecretStr | None:
        is_fresh = entry.fresh_until is not None and self._clock.now() < entry.fresh_until
        return entry.value if is_fresh else None

    async def _ask(
        self, key: str, entry: _Entry, fresh: timedelta, fetch: Callable[[], Awaitable[Fetched]]
    ) -> SecretStr:
        try:
            fetched = await fetch()
        except ScanguardError as exc:
            if exc.is_retryable and (old := self._old(key, entry, exc)) is not None:
                return old
            entry.value, entry.error = (entry.value if exc.is_retryable else None), exc
            entry.failures += 1
            raise
        now = self._clock.now()
        entry.value, entry.got_at = fetched.value, now
        entry.fresh_until = _earlier(now + fresh, fetched.ends_at)
        entry.stale_until = _earlier(now + fresh + self._stale, fetched.ends_at)
        return fetched.value

    def _old(self, key: str, entry: _Entry, error: ScanguardError) -> SecretStr | None:
        """The value of before, while it may still be used; the next question waits a little."""
        now = self._clock.now()
        if entry.value is None or entry.got_at is None or entry.stale_until is None or now >= entry.stale_until:
            return None
        wait = max(ASK_AGAIN_AFTER, timedelta(seconds=error.retry_after_s or 0))
        entry.fresh_until = min(now + wait, entry.stale_until)
        minutes = (now - entry.got_at).total_seconds() / 60
        self._log.warning("using the value of %.0f minutes ago: name=%s error=%s", minutes, key, error.message)
        return entry.value


def _earlier(moment: datetime, other: datetime | None) -> datetime:
    return moment if other is None else min(moment, other)


def _again(error: ScanguardError) -> ScanguardError:
    """The same error for another caller: one exception raised in two tasks would mix their tracebacks."""
    return type(error)(error.message, plugin=error.plugin, target=error.target, retry_after_s=error.retry_after_s)
