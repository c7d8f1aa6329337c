"""What was given up, for people: listed, looked at, taken up again, or let rest; and work stopped on purpose."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from scanguard.engine.cancel import cancel
from scanguard.engine.context import EngineContext
from scanguard.engine.dead import DeadKind, DeadLetter
from scanguard.errors import EventError
from scanguard.render.dead_letters import Letter
from scanguard.telemetry.events import audit

MOST: Final = 10_000
"""Letters of one kind that are looked through."""
MAX_REASON: Final = 500
_PAGE: Final = 500


class DeadLetterDesk:
    """The dead letters of one application."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context

    async def all(self, kind: DeadKind | None = None, *, limit: int = MOST) -> tuple[DeadLetter, ...]:
        """Letters, newest first; of one kind, or of all."""
        found: list[DeadLetter] = []
        for one in [kind] if kind else list(DeadKind):
            found += await self._of(one)
        return tuple(sorted(found, key=lambda letter: letter.died_at, reverse=True)[:limit])

    async def matching(self, beginning: str) -> tuple[DeadLetter, ...]:
        """Letters whose id begins like this."""
        return tuple(letter for letter in await self.all() if letter.id.startswith(beginning))

    async def replay(self, letters: Iterable[DeadLetter]) -> int:
        """Take them up again, each from its start; returns how many messages that made.

        A scan that succeeds then completes the verdicts that lacked it.

        Errors:
            ConfigError, PluginError: the scanner of a scan is not configured, or not installed, any more.
        """
        sent = 0
        for letter in letters:
            messages = await self._context.dead.replay(letter)
            await self._context.backend.queue.send(messages)
            await self._context.dead.forget(letter.kind, letter.id)
            audit("dead_letter.replay", f"{letter.kind.value} {letter.id}", "done", scan=letter.assessment)
            sent += len(messages)
        return sent

    async def drop(self, letters: Iterable[DeadLetter], reason: str) -> None:
        """Let them rest; the reason stays with what they are about. Raises EventError for an empty reason."""
        said = _checked(reason)
        for letter in letters:
            await self._context.dead.drop(letter, said)
            about = f"{letter.kind.value} {letter.id}"
            audit("dead_letter.drop", about, "done", scan=letter.assessment, detail=said)

    async def cancel(self, assessment: str, reason: str) -> bool:
        """Stop an assessment that has no verdict yet; False when there is nothing to stop."""
        said = _checked(reason)
        stopped, messages = await cancel(self._context, assessment, said)
        await self._context.backend.queue.send(messages)
        if stopped:
            audit("assessment.cancel", assessment, "done", scan=assessment, detail=said)
        return stopped

    async def _of(self, kind: DeadKind) -> list[DeadLetter]:
        found: list[DeadLetter] = []
        after = ""
        while len(found) < MOST:
            page, after = await self._context.dead.page(kind, after=after, limit=_PAGE)
            found += page
            if not after:
                break
        return found


def shown(letter: DeadLetter) -> Letter:
    """A letter as renderers take it."""
    return Letter(**letter.model_dump(exclude={"schema_version"}))


def _checked(reason: str) -> str:
    if not reason.strip() or len(reason) > MAX_REASON:
        raise EventError(f"a reason is needed, of at most {MAX_REASON} characters: people will ask later")
    return reason.strip()
