"""The composition root: configuration, plugins, backend and engine become one application."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from scanguard.app.backend import opened_backend
from scanguard.app.dead_letters import DeadLetterDesk
from scanguard.app.host import PluginHost, Surroundings
from scanguard.app.intake import Accepted, intake_messages
from scanguard.app.limits import engine_limits
from scanguard.app.loading import AppOptions, LoadedApp, load
from scanguard.app.metered import metered
from scanguard.app.reported import reported
from scanguard.app.sweeps import SweepDesk
from scanguard.app.triggers import Triggers
from scanguard.engine.documents import Assessment, AssessmentState, OutboxItem, OutboxState
from scanguard.engine.engine import Engine
from scanguard.engine.jobs import Job
from scanguard.engine.plan import Progress
from scanguard.engine.store import Store, read_document
from scanguard.engine.worker import Worker
from scanguard.errors import ConfigError
from scanguard.hooks import PluginConfig, PluginContext
from scanguard.loader import Plugins
from scanguard.model.deployment import Event
from scanguard.model.merged import MergedReport
from scanguard.model.reference import ImageReference
from scanguard.model.verdict import Verdict
from scanguard.ports import ALL_LANES, Backend, Lane, Message, Outgoing, RecordQuery, SystemClock
from scanguard.settings.bind import Bound, BoundInstance, fingerprint
from scanguard.settings.problems import nearest
from scanguard.settings.schema import Settings
from scanguard.telemetry.events import audit
from scanguard.telemetry.observing import observing
from scanguard.telemetry.queue_depths import watching_queue
from scanguard.telemetry.traces import span

DATA_VARIABLE: Final = "SCANGUARD_DATA_DIR"
LOCAL_SCHEMES: Final = ("oci", "oci-archive", "docker-archive")
_VISIBILITY_S: Final = 30.0
_PAGE: Final = 100
_FAR_FUTURE: Final = datetime(9000, 1, 1, tzinfo=UTC)


class App:
    """A loaded configuration, its plugins and a backend; open while in ``async with``."""

    def __init__(self, loaded: LoadedApp, host: PluginHost, data_dir: Path) -> None:
        self.plugins = loaded.plugins
        self._loaded = loaded
        self._bound = loaded.bound
        self._environ = loaded.options.environ
        self._host = host
        self._data_dir = data_dir
        self._open: Backend | None = None
        self._stack = AsyncExitStack()

    @classmethod
    def load(cls, options: AppOptions) -> App:
        """Read the configuration and load what it names, doing no other I/O.

        Errors:
            ConfigError, PluginError: before any work, with everything that is wrong.
        """
        return cls.of(load(options))

    @classmethod
    def of(cls, loaded: LoadedApp) -> App:
        """The application of what was loaded before."""
        options, plugins, bound = loaded.options, loaded.plugins, loaded.bound
        data_dir = data_folder(options)
        host = PluginHost(
            Surroundings(
                bound=bound,
                catalog=plugins.catalog,
                registries=loaded.registries,
                data_dir=data_dir,
                clock=SystemClock(),
                offline=options.offline,
                scanners=tuple(_scanner(name, bound, plugins) for name in dict.fromkeys(options.scanners)),
            )
        )
        return cls(loaded, host, data_dir)

    async def __aenter__(self) -> Self:
        """Open the backend that the configuration chooses."""
        self._open = await self._stack.enter_async_context(opened_backend(self._bound, self._host, self._data_dir))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close plugins and backend."""
        await self._host.aclose()
        self._open = None
        await self._stack.aclose()

    @property
    def backend(self) -> Backend:
        """The five ports."""
        if self._open is None:
            raise RuntimeError("the application is not open: use it in `async with`")
        return self._open

    @property
    def settings(self) -> Settings:
        """The configuration, as it is written."""
        return self._bound.settings

    def observed(self) -> AbstractContextManager[None]:
        """Send traces, metrics and events meanwhile, where the environment wants them; flush at the end.

        Entered once, by a process that works for long, before it takes work in hand. Raises ConfigError for a variable
        that makes no sense.
        """
        return observing(self._environ, self.plugins.catalog.observers.values())

    def plugin_context(self, instance: str) -> PluginContext:
        """What an object of this name is lent; for commands of plugins."""
        return self._host.context(instance)

    def freshness(self, verdict: Verdict) -> timedelta | None:
        """How long a scan counts as fresh where this verdict's deployment is."""
        return self._host.plan(verdict.deployment).freshness

    # --- intake -----------------------------------------------------------------------------------------

    async def accept(self, payload: bytes, *, lane: Lane = Lane.FRESH) -> Accepted:
        """Take events in; durable when it returns. Raises EventError for a payload that is no event at all."""
        with span("accept events", "server", component="intake") as working:
            messages, accepted = self._loaded.intake.messages(payload, lane=lane)
            working.set(accepted.attributes)
            await self._send(messages)
        accepted.count()
        return accepted

    async def accept_images(self, names: Sequence[str], *, force: bool = False) -> tuple[str, ...]:
        """Take images in as if somebody had deployed them; raises InvalidReferenceError for a name that is none."""
        now = self.backend.clock.now()
        events = [
            Event(
                id=uuid.uuid4().hex,
                source="scanguard",
                type="scanguard.scan",
                resource_id=f"image:{_checked_name(name)}",
                time=now,
            )
            for name in names
        ]
        return await self._send(intake_messages(events, Lane.FRESH, force=force), force=force)

    async def _send(self, messages: Sequence[Message], *, force: bool = False) -> tuple[str, ...]:
        await self.backend.queue.send([Outgoing(message) for message in messages])
        if force:
            for message in messages:
                audit("rescan.force", _resource_of(message), "done", scan=message.id)
        return tuple(message.id for message in messages)

    @property
    def dead_letters(self) -> DeadLetterDesk:
        """What was given up."""
        return DeadLetterDesk(self._engine().context)

    @property
    def sweeps(self) -> SweepDesk:
        """The periodic jobs."""
        return SweepDesk(self.backend, self._host)

    # --- work ---------------------------------------------------------------------------------------------

    def triggers(self) -> Triggers:
        """The way in for a host that owns the queues; one object serves a process."""
        return Triggers(self._engine())

    async def work(
        self,
        *,
        until: Sequence[str] | None = None,
        lanes: Sequence[Lane] = ALL_LANES,
        progress: Callable[[Progress], None] | None = None,
        idle_exit: bool = False,
    ) -> None:
        """Drive the queue.

        Args:
            lanes: Which lanes to take work from, the most urgent first.
            until: Stop when these assessments are judged or dead, and each of their deliveries was tried.
            progress: Told of each step.
            idle_exit: Stop when nothing is pending.
        """
        concurrency = self._bound.settings.engine.concurrency
        engine = self._engine(progress, runs_jobs=until is None)
        await engine.ensure_jobs()
        worker = Worker(engine, lanes=lanes, concurrency=concurrency, visibility_s=_VISIBILITY_S)
        remaining = list(until or ())

        async def is_finished() -> bool:
            while remaining and await self._is_settled(remaining[-1]):
                remaining.pop()
            if until is not None:
                return not remaining
            return idle_exit and await self._is_idle(lanes)

        async with watching_queue(self.backend.queue, self.backend.clock):
            await worker.run(is_finished)

    def _engine(self, progress: Callable[[Progress], None] | None = None, *, runs_jobs: bool = True) -> Engine:
        limits = engine_limits(self._bound.settings.engine)
        return Engine(self.backend, self._host, limits=limits, observe=metered(reported(progress)), runs_jobs=runs_jobs)

    async def _is_settled(self, assessment: str) -> bool:
        stored = await Store(self.backend.state).get(Assessment, assessment)
        if stored is None or stored.document.state not in {AssessmentState.DONE, AssessmentState.DEAD}:
            return False
        rows = await self.backend.state.page(OutboxItem.TABLE, assessment, limit=_PAGE)
        items = [read_document(OutboxItem, row) for row in rows]
        return all(item.state is not OutboxState.PENDING or item.attempts for item in items)

    async def _is_idle(self, lanes: Sequence[Lane]) -> bool:
        if await self.backend.queue.next_visible(lanes) is not None:
            return False
        return set(lanes) != set(ALL_LANES) or not await self._is_anything_due()

    async def _is_anything_due(self) -> bool:
        """Whether anything but periodic jobs that rest, and will start again some day, is still to be done."""
        resting = {job.row.key for job in await self.sweeps.all() if job.is_resting}
        rows = await self.backend.state.overdue(_FAR_FUTURE, limit=len(resting) + 1)
        return any(row.table != Job.TABLE or row.key not in resting for row in rows)

    # --- answers ------------------------------------------------------------------------------------------

    async def verdict(self, id: str) -> Verdict | None:
        """An assessment's verdict, once there is one."""
        found = await self.backend.records.query(RecordQuery(id=id, limit=1))
        return found[0] if found and found[0].id == id else None

    async def dead(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Why, of those assessments that became dead letters."""
        store = Store(self.backend.state)
        found = [await store.get(Assessment, one) for one in ids]
        return {
            one.document.id: one.document.error for one in found if one and one.document.state is AssessmentState.DEAD
        }

    async def closed(self, ids: Sequence[str]) -> Mapping[str, datetime]:
        """Since when, of those assessments that found their deployment gone: they have no verdict."""
        store = Store(self.backend.state)
        found = [await store.get(Assessment, one) for one in ids]
        return {one.document.id: one.document.closed_at for one in found if one and one.document.closed_at}

    async def reports(self, verdict: Verdict) -> Mapping[str, MergedReport]:
        """The merged reports by ``ImageVerdict.merged``."""
        names = sorted({image.merged for image in verdict.images if image.merged})
        stored = {name: await self.backend.reports.get(name) for name in names}
        return {name: MergedReport.model_validate_json(data) for name, data in stored.items() if data is not None}


def data_folder(options: AppOptions) -> Path:
    """Where queue, results and databases are: as asked for, else by the environment, else the user's own folder."""
    if options.data_dir is not None:
        return options.data_dir.absolute()
    if options.environ.get(DATA_VARIABLE):
        return Path(options.environ[DATA_VARIABLE]).absolute()
    import platformdirs  # noqa: PLC0415  # only where nobody said

    return platformdirs.user_data_path("scanguard", appauthor=False)


def _scanner(name: str, bound: Bound, plugins: Plugins) -> BoundInstance:
    """An instance by its name, or a plugin with its default options."""
    instance = bound.instances.get(name)
    if instance is not None and "scanner" in instance.specs:
        return instance
    if name not in plugins.catalog.scanners:
        scanners = {one.name for one in bound.instances.values() if "scanner" in one.specs}
        hint = nearest(name, {*scanners, *plugins.catalog.scanners})
        if hint:
            raise ConfigError(f"there is no scanner {name!r}{hint}")
        plugins.require(name, "scanner")
    spec = plugins.catalog.scanners[name]
    try:
        config: PluginConfig = spec.config()
    except ValueError as exc:
        raise ConfigError(
            f"the scanner {name!r} needs options: configure an instance of it and name that instance", target=name
        ) from exc
    return BoundInstance(name, name, config, {"scanner": spec}, fingerprint(spec, config))


def _checked_name(name: str) -> str:
    """A reference that parses, or a local source with its whole path, so that any worker finds it."""
    scheme, colon, path = name.partition(":")
    if colon and scheme in LOCAL_SCHEMES:
        return f"{scheme}:{Path(path).absolute()}"
    ImageReference.parse(name)
    return name


def _resource_of(intake: Message) -> str:
    return Event.model_validate(intake.body["event"]).resource_id
