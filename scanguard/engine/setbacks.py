"""What becomes of an assessment when a step fails: another try, or a dead letter."""

from __future__ import annotations

from scanguard.engine.assessing import Step, is_throttling, noted
from scanguard.engine.context import EngineContext
from scanguard.engine.documents import Assessment, AssessmentState
from scanguard.engine.messages import wake_up
from scanguard.engine.plan import Progress
from scanguard.engine.store import Stored
from scanguard.errors import ScanguardError
from scanguard.ports import Outgoing


class Setbacks:
    """Decides between trying again and giving up."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._store = context.store
        self._limits = context.limits

    async def try_again(self, stored: Stored[Assessment], error: ScanguardError) -> Step:
        """Wait and try again; being told to slow down uses up no attempt."""
        assessment = stored.document
        attempts = assessment.attempts + (0 if is_throttling(error) else 1)
        if not error.is_retryable or attempts >= self._limits.attempts:
            return await self.give_up(stored, error)
        at = self._limits.retry_at(self._context.now(), max(attempts, 1), error.retry_after_s)
        if assessment.deadline is not None:
            at = min(at, assessment.deadline)
        again = assessment.model_copy(update={"attempts": attempts, **noted(error)})
        if assessment.state is AssessmentState.NEW:
            again = again.model_copy(update={"not_before": at})
        await self._store.replace(stored, again, self._limits.rearm_at(at))
        return None, [Outgoing(wake_up(assessment), at)]

    async def give_up(self, stored: Stored[Assessment], error: ScanguardError) -> Step:
        """A dead letter: visible, with its reason, and replayable."""
        dead = stored.document.model_copy(update={"state": AssessmentState.DEAD, **noted(error)})
        await self._store.replace(stored, dead, None)
        await self._context.dead.note(dead)
        self._context.observe(Progress(dead.id, dead.event.resource_id, "", "failed", error.message))
        return None, []
