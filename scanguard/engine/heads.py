"""Which observation of a deployment is the newest, and whether the deployment is gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from scanguard.engine.context import EngineContext
from scanguard.engine.documents import Head, head_partition
from scanguard.engine.plan import HostedSweep
from scanguard.engine.roster import Roster
from scanguard.errors import ScanguardError
from scanguard.model.deployment import Deployment


class Heads:
    """The heads of all deployments, and the rosters of the jobs that list them."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._store = context.store
        self._roster = Roster(context.store)

    async def is_known(self, resource_id: str) -> bool:
        """Whether this deployment was ever seen."""
        return await self._store.get(Head, head_partition(resource_id)) is not None

    async def of(self, resource_id: str) -> Head | None:
        """A deployment's head."""
        stored = await self._store.get(Head, head_partition(resource_id))
        return stored.document if stored else None

    async def become(self, assessment: str, deployment: Deployment) -> None:
        """The newest observation of a deployment is the one that is told and acted on; jobs that list it know it."""
        head = Head(resource=deployment.resource_id, assessment=assessment, seen_at=deployment.seen_at)
        stored = await self._store.ensure(head, None)

        def change(current: Head) -> tuple[Head, datetime | None] | None:
            newer = (head.seen_at, head.assessment) > (current.seen_at, current.assessment)
            gone_since = current.closed_at is not None and current.closed_at > head.seen_at
            return (head, None) if newer and not gone_since else None

        if stored.document is not head:
            await self._store.update(Head, *head.address, change)
        for job in self._listing(deployment.resource_id):
            await self._roster.know(job.instance, deployment.resource_id, self._context.now())

    async def close(self, resource_id: str, assessment: str, asked_at: datetime) -> None:
        """The deployment was gone when the platform was asked; its last verdict says so, and stays.

        One that was seen again since then stays open.
        """

        def change(current: Head) -> tuple[Head, datetime | None] | None:
            is_older = current.closed_at is not None or current.seen_at > asked_at
            return None if is_older else (current.model_copy(update={"closed_at": asked_at}), None)

        stored = await self._store.update(Head, head_partition(resource_id), "", change)
        closed_at = stored.document.closed_at if stored else None
        if stored is not None and closed_at is None:
            return
        records = self._context.backend.records
        last = await records.previous(resource_id, assessment)
        if closed_at is not None and last is not None and last.closed_at is None:
            await records.save(last.model_copy(update={"closed_at": closed_at}))
        for job in self._listing(resource_id):
            await self._roster.forget(job.instance, resource_id)

    def _listing(self, resource_id: str) -> Iterator[HostedSweep]:
        """The jobs that would list a deployment; one that is broken says so when it runs."""
        host = self._context.host
        for name in host.sweeps():
            try:
                job = host.sweep(name)
                if job.every is not None and job.lists(resource_id):
                    yield job
            except ScanguardError:
                continue
