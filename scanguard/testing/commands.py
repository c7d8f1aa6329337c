"""The command line in process, against a fake application: for tests of commands, a plugin's own too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from click.testing import CliRunner, Result

from scanguard.app import Accepted, AppOptions, Progress
from scanguard.app.dead_letters import DeadLetterDesk
from scanguard.app.sweeps import SweepDesk
from scanguard.cli.context import CliContext
from scanguard.cli.root import cli
from scanguard.hooks import PluginContext
from scanguard.model.merged import MergedReport
from scanguard.model.verdict import Verdict
from scanguard.ports import ALL_LANES, Backend, Lane
from scanguard.testing.memory import MemoryBackend
from scanguard.testing.rig import Rig
from scanguard.testing.samples import NOW


@dataclass
class FakeApplication:
    """An application with canned answers, and a real backend in memory that holds ``verdicts``.

    ``accepts`` is what any payload leads to; ``judged`` are the verdicts that :meth:`work` makes known;
    ``raises`` is raised by :meth:`work`. What was asked is kept in ``options``, ``payloads``, ``images`` and
    ``worked``.
    """

    verdicts: Sequence[Verdict] = ()
    merged: Mapping[str, MergedReport] = field(default_factory=dict)
    accepts: Accepted | None = None
    letters: Mapping[str, str] = field(default_factory=dict)
    gone: Mapping[str, datetime] = field(default_factory=dict)
    steps: Sequence[Progress] = ()
    raises: BaseException | None = None
    memory: MemoryBackend = field(default_factory=MemoryBackend)
    options: AppOptions | None = None
    payloads: list[bytes] = field(default_factory=list)
    images: list[tuple[tuple[str, ...], bool]] = field(default_factory=list)
    worked: list[tuple[tuple[str, ...] | None, bool]] = field(default_factory=list)
    is_open: bool = False
    context: PluginContext | None = None
    rig: Rig | None = None

    @property
    def backend(self) -> Backend:
        """The backend in memory."""
        return self.memory.backend()

    def load(self, options: AppOptions) -> Self:
        """Note the options, as the composition root would use them."""
        self.options = options
        return self

    def freshness(self, verdict: Verdict) -> timedelta | None:
        """A day, for every chain."""
        return timedelta(days=1)

    def observed(self) -> AbstractContextManager[None]:
        """Send nothing."""
        return nullcontext()

    def plugin_context(self, instance: str) -> PluginContext:
        """The canned context."""
        if self.context is None:
            raise AssertionError(f"no context was given for {instance}")
        return self.context

    async def __aenter__(self) -> Self:
        """Open, and put the canned verdicts into the records."""
        self.is_open = True
        self.memory.clock.moment = NOW
        for verdict in self.verdicts:
            await self.backend.records.save(verdict)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.is_open = False

    @property
    def dead_letters(self) -> DeadLetterDesk:
        """What the backend in memory holds."""
        return DeadLetterDesk(Rig(memory=self.memory).engine.context)

    @property
    def sweeps(self) -> SweepDesk:
        """What the backend in memory holds, and the jobs of ``rig``, if one is given."""
        return SweepDesk(self.backend, (self.rig or Rig(memory=self.memory)).engine.context.host)

    async def accept(self, payload: bytes, *, lane: Lane = Lane.FRESH) -> Accepted:
        """Note the payload; accept every canned verdict unless told otherwise."""
        self.payloads.append(payload)
        return self.accepts or Accepted(ids=self._ids, skipped=(), rejected=())

    async def accept_images(self, names: Sequence[str], *, force: bool = False) -> tuple[str, ...]:
        """Note the names; the ids of the canned verdicts, then of the dead letters."""
        self.images.append((tuple(names), force))
        return self._ids

    async def work(
        self,
        *,
        until: Sequence[str] | None = None,
        lanes: Sequence[Lane] = ALL_LANES,
        progress: Callable[[Progress], None] | None = None,
        idle_exit: bool = False,
    ) -> None:
        """Tell the canned steps, then do as told."""
        self.worked.append((None if until is None else tuple(until), idle_exit))
        for step in self.steps:
            if progress is not None:
                progress(step)
        if self.raises is not None:
            raise self.raises

    async def verdict(self, id: str) -> Verdict | None:
        """The canned verdict with this id."""
        return next((verdict for verdict in self.verdicts if verdict.id == id), None)

    async def dead(self, ids: Sequence[str]) -> Mapping[str, str]:
        """The canned dead letters among these."""
        return {id: why for id, why in self.letters.items() if id in ids}

    async def closed(self, ids: Sequence[str]) -> Mapping[str, datetime]:
        """The canned closed deployments among these."""
        return {id: at for id, at in self.gone.items() if id in ids}

    async def reports(self, verdict: Verdict) -> Mapping[str, MergedReport]:
        """The canned reports of a verdict's images."""
        names = {image.merged for image in verdict.images if image.merged}
        return {name: report for name, report in self.merged.items() if name in names}

    @property
    def _ids(self) -> tuple[str, ...]:
        return (*(verdict.id for verdict in self.verdicts), *self.letters, *self.gone)


def invoke(
    arguments: Sequence[str],
    app: FakeApplication | None = None,
    *,
    stdin: bytes | None = None,
    context: CliContext | None = None,
) -> Result:
    """Run ``scanguard ARGUMENTS`` in this process; read ``exit_code``, ``stdout`` and ``stderr`` of the result."""
    obj = context or CliContext()
    if app is not None:
        obj.open_app = app.load
    return CliRunner().invoke(cli, list(arguments), input=stdin, obj=obj, prog_name="scanguard")
