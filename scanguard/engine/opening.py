"""The first step of an assessment: find out what the deployment runs, or that it is gone."""

from __future__ import annotations

from datetime import datetime

from scanguard.engine.assessing import CLOSED, NO_ERROR, Step, image_state, nobody_knows
from scanguard.engine.context import EngineContext
from scanguard.engine.describe import Described, Describer, Gone, Postponed, Unread
from scanguard.engine.documents import Assessment, AssessmentState
from scanguard.engine.heads import Heads
from scanguard.engine.messages import wake_up
from scanguard.engine.plan import Progress
from scanguard.engine.setbacks import Setbacks
from scanguard.engine.store import Stored
from scanguard.errors import BackendError, ScanguardError
from scanguard.model.deployment import Deployment
from scanguard.ports import Outgoing


class Opening:
    """Takes new assessments to where their images are known."""

    def __init__(self, context: EngineContext, heads: Heads, setbacks: Setbacks) -> None:
        self._context = context
        self._store = context.store
        self._host = context.host
        self._limits = context.limits
        self._heads = heads
        self._setbacks = setbacks
        self._describer = Describer(context, heads)

    async def step(self, stored: Stored[Assessment]) -> Step:
        """Ask the platforms, now or at the next turn, and go on with what they say."""
        assessment = stored.document
        if assessment.not_before is not None and assessment.not_before > self._context.now():
            return None, []  # its message comes then
        try:
            found = await self._describer.describe(assessment)
        except BackendError:
            raise
        except ScanguardError as exc:
            return await self._setbacks.try_again(stored, exc)
        return await self._go_on(stored, found)

    async def _go_on(self, stored: Stored[Assessment], found: Described | None) -> Step:
        match found:
            case None:
                return await self._setbacks.give_up(stored, nobody_knows(stored.document.event.resource_id))
            case Gone(asked_at):
                return await self._close(stored, asked_at)
            case Postponed():
                return await self._postpone(stored, found)
            case Unread(deployment, error):
                return await self._described(stored, deployment, unread=error.message)
        return await self._described(stored, found)

    async def _described(self, stored: Stored[Assessment], deployment: Deployment, unread: str = "") -> Step:
        await self._heads.become(stored.document.id, deployment)
        plan = self._host.plan(deployment)
        described = stored.document.model_copy(
            update={
                "state": AssessmentState.DESCRIBED,
                "deployment": deployment,
                "images": tuple(image_state(container) for container in deployment.containers),
                "deadline": stored.document.created_at + plan.deadline,
                "unread": unread,
                "not_before": None,
                **NO_ERROR,
            }
        )
        return Stored(described, stored.row), []  # written down with the step that follows

    async def _close(self, stored: Stored[Assessment], asked_at: datetime) -> Step:
        """The deployment is gone: there is nothing to judge, and its last verdict says so."""
        assessment = stored.document
        await self._heads.close(assessment.event.resource_id, assessment.id, asked_at)
        closed = {"state": AssessmentState.DONE, "closed_at": asked_at, "not_before": None, **NO_ERROR}
        await self._store.replace(stored, assessment.model_copy(update=closed), None)
        self._context.observe(Progress(assessment.id, assessment.event.resource_id, "", "done", CLOSED))
        return None, []

    async def _postpone(self, stored: Stored[Assessment], until: Postponed) -> Step:
        """Wait for a turn to ask the platform, as a message."""
        assessment = stored.document
        later = {"not_before": until.at, "slot": until.slot, "slot_of": until.slot_of}
        due = self._limits.rearm_at(until.at)
        await self._store.replace(stored, assessment.model_copy(update=later), due)
        return None, [Outgoing(wake_up(assessment), until.at)]
