"""Asking the platforms what a resource runs, within their quotas."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from scanguard.engine.context import EngineContext
from scanguard.engine.documents import Assessment
from scanguard.engine.guard import call_plugin
from scanguard.engine.heads import Heads
from scanguard.engine.plan import HostedPlatform
from scanguard.engine.quota import Errand
from scanguard.errors import PlatformError, PlatformForbiddenError, PlatformThrottledError, PluginContractError
from scanguard.model.deployment import Deployment
from scanguard.ports import Lane


@dataclass(frozen=True, slots=True)
class Postponed:
    """No platform may be asked before ``at``; ``slot`` is the slot that is booked then, in the book ``slot_of``."""

    at: datetime
    slot: datetime | None
    slot_of: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The deployment was not there ``asked_at``."""

    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Unread:
    """The platform may not be asked; the ``deployment`` is what is known without it, and has no containers."""

    deployment: Deployment
    error: PlatformForbiddenError


Described = Deployment | Gone | Unread | Postponed


class Describer:
    """Finds out what a deployment is."""

    def __init__(self, context: EngineContext, heads: Heads) -> None:
        self._context = context
        self._heads = heads

    async def describe(self, assessment: Assessment) -> Described | None:
        """Ask each platform that owns the resource, in the order of the configuration, until one knows it.

        None when nobody who is configured knows anything about it. Raises ScanguardError.
        """
        resource_id = assessment.event.resource_id
        asked_at = self._context.now()
        owners = self._context.host.platforms(resource_id)
        for hosted in owners:
            postponed = await self._turn(assessment, hosted)
            if postponed is not None:
                return postponed
            try:
                found = await self._ask(hosted, resource_id)
            except PlatformForbiddenError as exc:
                return Unread(await self._outline(assessment, hosted), exc)
            if found is not None:
                return found
        if any(hosted.spec.knows_all for hosted in owners):
            return Gone(asked_at)
        if owners and (assessment.event.is_deletion or await self._heads.is_known(resource_id)):
            return Gone(asked_at)
        return None

    async def _turn(self, assessment: Assessment, hosted: HostedPlatform) -> Postponed | None:
        """None when the platform may be asked now. Whoever dies while asking asks again with the same slot."""
        limited, count = hosted.limited, hosted.spec.requests_per_call
        if not count:
            return None
        turn = await self._context.quotas.take(
            limited,
            count,
            bulk=assessment.lane is Lane.BULK,
            errand=Errand.CALL,
            held=assessment.slot if assessment.slot_of == limited.name else None,
        )
        return None if turn.is_now else Postponed(turn.at, turn.slot, limited.name)

    async def _ask(self, hosted: HostedPlatform, resource_id: str) -> Deployment | None:
        try:
            return await call_plugin(
                hosted.open().describe(resource_id),
                plugin=hosted.instance,
                what="describe",
                timeout_s=hosted.spec.timeout_s,
                timeout_error=PlatformError,
                returns=(Deployment, type(None)),
            )
        except PlatformThrottledError as exc:
            at = self._context.limits.retry_at(self._context.now(), 1, exc.retry_after_s)
            await self._context.quotas.close(hosted.limited.name, at)
            raise

    async def _outline(self, assessment: Assessment, hosted: HostedPlatform) -> Deployment:
        """What is known of a deployment that may not be read: its last verdict's, else what its id says."""
        resource_id, now = assessment.event.resource_id, self._context.now()
        last = await self._context.backend.records.previous(resource_id, assessment.id)
        if last is not None:
            return last.deployment.model_copy(update={"containers": (), "seen_at": now})
        if hosted.spec.outline is None:
            name = resource_id.rstrip("/").rpartition("/")[2] or resource_id
            return Deployment(resource_id=resource_id, kind="unknown", name=name, containers=(), seen_at=now)
        try:
            outline = hosted.spec.outline(resource_id)
            return outline.model_copy(update={"resource_id": resource_id, "containers": (), "seen_at": now})
        except Exception as exc:
            raise PluginContractError(f"outline raised {type(exc).__name__}", plugin=hosted.instance) from exc
