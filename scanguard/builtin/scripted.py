"""Scanner ``scripted``: submit, ticket, poll and failure as configured, with no service behind it.

For rehearsals, demos and tests, never for production: it looks at nothing. Whatever rests on it says so, for the tool
that it names is ``scripted``.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue, ValidationError

from scanguard.builtin.scripted_config import CallName, Fault, ScriptedConfig
from scanguard.builtin.scripted_memory import Call, Memory, Result
from scanguard.builtin.scripted_report import scripted_report
from scanguard.errors import (
    ScanguardError,
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
    ScanTimeoutError,
)
from scanguard.hooks import PluginContext, ScanRequest, Ticket
from scanguard.model.base import Digest, Instant, Model
from scanguard.model.image import Platform
from scanguard.model.report import ScannerInfo, ScanReport

INFO: Final = ScannerInfo(tool="scripted", version="1", database="a script; nothing was looked at")
_ERRORS: Final[Mapping[Fault, type[ScanguardError]]] = {
    Fault.UNAVAILABLE: ScannerUnavailableError,
    Fault.THROTTLED: ScannerThrottledError,
    Fault.TIMEOUT: ScanTimeoutError,
    Fault.UNREADABLE: ScannerOutputError,
    Fault.AUTH: ScannerAuthError,
}


class Job(Model):
    """One scan; the value of its ticket, which is all that a poll needs."""

    key: str
    digest: Digest
    platform: Platform
    repository: str
    started_at: Instant
    ready_at: Instant
    calls: int = 0
    """Calls for this digest that were made before."""


class ScriptedScanner:
    """Does what its configuration says; whether a call fails depends on seed, digest and number of the call."""

    def __init__(self, config: ScriptedConfig, context: PluginContext) -> None:
        self._config = config
        self._clock = context.clock
        self._instance = context.instance
        journal = context.config_dir / config.journal if config.journal else None
        self._memory = Memory(journal, context.instance)
        context.log.warning("instance=%s is scripted: it looks at nothing and is never for production", self._instance)

    async def submit(self, request: ScanRequest) -> ScanReport | Ticket:
        """Take a scan on, and answer at once where the script has no latency."""
        job = self._job(request, self._clock.now())
        usual = Result.ACCEPTED if self._config.latency_s else Result.ANSWERED
        return await self._reply(job, await self._call("submit", job, usual))

    async def poll(self, ticket: Ticket) -> ScanReport | Ticket:
        """The report once the latency has passed, else a later ticket."""
        try:
            job = Job.model_validate(dict(ticket.value))
        except ValidationError as exc:
            raise ScannerOutputError(
                f"a ticket of {self._instance} cannot be read: {exc.error_count()} faults", plugin=self._instance
            ) from exc
        usual = Result.ANSWERED if self._clock.now() >= job.ready_at else Result.RUNNING
        return await self._reply(job, await self._call("poll", job, usual))

    async def find(self, request: ScanRequest) -> Ticket | None:
        """The ticket of a scan that was taken on under this key, by whichever process; None when there is none."""
        job = self._job(request, self._clock.now())
        call = await self._call("find", job, Result.NONE)
        if call.ready_at is None:
            return None
        return self._ticket(job.model_copy(update={"started_at": call.ready_at, "ready_at": call.ready_at}), call)

    async def info(self) -> ScannerInfo:
        """That it is a script."""
        return INFO

    async def aclose(self) -> None:
        """Nothing to close."""

    # --- one call -----------------------------------------------------------------------------------------

    def _job(self, request: ScanRequest, now: datetime) -> Job:
        image = request.image
        return Job(
            key=request.key,
            digest=image.digest,
            platform=image.platform,
            repository=image.repository,
            started_at=now,
            ready_at=now + timedelta(seconds=self._config.latency_s),
        )

    async def _call(self, call: CallName, job: Job, usual: Result) -> Call:
        """Write the call down, as the service that hears of it first; only then fail or hang."""

        def write(number: int, taken_on: Call | None) -> Call:
            result, ready_at = usual, job.ready_at if call == "submit" else None
            if call == "find" and taken_on is not None:
                result, ready_at = Result.FOUND, taken_on.ready_at
            fault = self._fault(call, job, number, result)
            if fault is not None and fault is not Fault.HANG:
                result, ready_at = Result.FAILED, None
            return Call(
                call=call,
                instance=self._instance,
                key=job.key,
                digest=job.digest,
                number=number,
                result=result,
                fault=fault,
                time=self._clock.now(),
                ready_at=ready_at,
                pid=os.getpid(),
            )

        noted = await asyncio.to_thread(self._memory.note, job.key, job.digest, write, at_least=job.calls)
        if noted.fault is Fault.HANG:
            await asyncio.sleep(self._config.faults.hang_s)
        self._raise(noted)
        return noted

    def _fault(self, call: CallName, job: Job, number: int, result: Result) -> Fault | None:
        """How this call fails, if it does; only an answer can be about the wrong image."""
        for failing in self._config.fail_images:
            if failing.is_meant(job.digest, job.repository):
                return failing.kind if _applies(failing.kind, result) else None
        faults = self._config.faults
        drawn = hashlib.sha256(f"{self._config.seed} {job.digest} {number}".encode()).digest()
        if call not in faults.calls or int.from_bytes(drawn[:8]) / 2**64 >= faults.rate:
            return None
        kind = faults.kinds[int.from_bytes(drawn[8:16]) % len(faults.kinds)]
        return kind if _applies(kind, result) else None

    def _raise(self, call: Call) -> None:
        error = _ERRORS.get(call.fault) if call.fault else None
        if error is not None:
            raise error(
                f"{self._instance} is scripted to fail call {call.number} for {call.digest[:19]}…: {call.fault}",
                plugin=self._instance,
                target=call.digest,
                retry_after_s=self._config.faults.retry_after_s if call.fault is Fault.THROTTLED else None,
            )

    async def _reply(self, job: Job, call: Call) -> ScanReport | Ticket:
        if call.result in (Result.ACCEPTED, Result.RUNNING):
            return self._ticket(job, call)
        digest = job.digest if call.fault is not Fault.WRONG_DIGEST else _another(job.digest)
        return scripted_report(self._config, INFO, digest, job.platform, (job.started_at, job.ready_at))

    def _ticket(self, job: Job, call: Call) -> Ticket:
        value: dict[str, JsonValue] = job.model_copy(update={"calls": call.number}).model_dump(mode="json")
        return Ticket(value, min(job.ready_at, self._clock.now() + timedelta(seconds=self._config.poll_s)))


def _applies(fault: Fault, result: Result) -> bool:
    return fault is not Fault.WRONG_DIGEST or result is Result.ANSWERED


def _another(digest: str) -> str:
    return f"sha256:{hashlib.sha256(digest.encode()).hexdigest()}"
