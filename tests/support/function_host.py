"""A small Functions host: workers in processes of their own, and triggers and bindings served from real queues.

What it does is what Azure's host is documented to do
(https://learn.microsoft.com/en-us/azure/azure-functions/functions-bindings-storage-queue-trigger): messages are base64;
an output binding is written only when its function succeeded, and an event is acknowledged only after that; a message
is removed when its function succeeded, becomes visible again after ``visibilityTimeout`` when it failed, and goes to
``<queue>-poison`` after ``maxDequeueCount`` deliveries; its lease is renewed while the function runs. What the host
itself writes expires after seven days, its default. Not the real one, which needs downloads of Azure's own.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueServiceClient
from function_package import Packaged

WORKER: Final = Path(__file__).with_name("function_worker.py")
LONGEST_LINE: Final = 16 * 1024 * 1024
LEASE_S: Final = 30.0
STOP_S: Final = 5.0


class WorkerDiedError(Exception):
    """The worker process ended while it had work."""


class WorkerProcess:
    """One worker; calls may overlap."""

    def __init__(self, packaged: Packaged, environ: Mapping[str, str], log: Path) -> None:
        self._packaged = packaged
        self._environ = {**_bare_environment(), **environ}
        self._log = log
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.indexed: dict[str, Any] = {}

    async def start(self) -> None:
        """Start it and wait until the app is indexed."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                self._packaged.python, WORKER, self._packaged.folder, env=self._environ, stderr=log,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LONGEST_LINE,
            )  # fmt: skip
        line = await self._out.readline()
        if not line:
            raise WorkerDiedError(self.log())
        self.indexed = json.loads(line)
        self._reading = asyncio.create_task(self._read())

    @property
    def _out(self) -> asyncio.StreamReader:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def log(self) -> str:
        """What it wrote to standard error."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    async def call(self, function: str, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run a function; raises WorkerDiedError when the process ends first, or has ended."""
        if self._reading.done():
            raise WorkerDiedError("it has ended")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        call = {"id": number, "function": function, "data": data, "metadata": metadata or {}}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(call).encode() + b"\n")
            await self._process.stdin.drain()
        except ConnectionError as exc:
            self._waiting.pop(number, None)
            raise WorkerDiedError("it does not read any more") from exc
        result: dict[str, Any] = await answer
        return result

    async def _read(self) -> None:
        while line := await self._out.readline():
            answer = json.loads(line)
            waiting = self._waiting.pop(answer["id"])
            if not waiting.done():
                waiting.set_result(answer)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(WorkerDiedError("it ended"))

    def kill(self) -> None:
        """Kill -9."""
        self._process.kill()

    async def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading


def _bare_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True, slots=True)
class Invocation:
    """What became of a call."""

    function: str
    ok: bool
    error: str | None = None
    ms: float = 0.0


@dataclass(slots=True)
class FunctionHost:
    """Serves one app. ``settings`` are those of host.json's ``extensions.queues``."""

    worker: WorkerProcess
    connection: str
    max_dequeue_count: int
    visibility_s: int
    calls: list[Invocation] = field(default_factory=list)
    _queues: QueueServiceClient = field(init=False)

    def __post_init__(self) -> None:
        self._queues = QueueServiceClient.from_connection_string(
            self.connection,
            retry_total=0,
            connection_timeout=2,
            read_timeout=5,
        )

    async def close(self) -> None:
        """Close clients."""
        await self._queues.close()

    @property
    def functions(self) -> dict[str, list[dict[str, Any]]]:
        """Bindings by function."""
        found: dict[str, list[dict[str, Any]]] = self.worker.indexed["functions"]
        return found

    def triggers(self, kind: str) -> dict[str, dict[str, Any]]:
        """The trigger bindings of one kind, by function."""
        return {name: one for name, bindings in self.functions.items() for one in bindings if one["type"] == kind}

    async def event(self, document: Any) -> bool:
        """Deliver an event, as Event Grid does; True when it is acknowledged."""
        results = [
            await self.invoke(name, {"type": "json", "value": json.dumps(document)})
            for name in self.triggers("eventGridTrigger")
        ]
        return bool(results) and all(results)

    async def tick(self) -> bool:
        """Let every timer fire."""
        schedule = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}
        data = {"type": "json", "value": json.dumps(schedule)}
        return all([await self.invoke(name, data) for name in self.triggers("timerTrigger")])

    async def http(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: str = "",
        query: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, str], str]:  # fmt: skip
        """Ask a route; 404 where no function has it. Keys are not checked: the real host does that before."""
        for name, trigger in self.triggers("httpTrigger").items():
            params = _match(trigger["route"], path.removeprefix("/api/"))
            if params is None or method.lower() not in [one.lower() for one in trigger["methods"]]:
                continue
            asked = "&".join(f"{key}={value}" for key, value in (query or {}).items())
            value = {
                "method": method, "url": f"https://app.example{path}{'?' if asked else ''}{asked}", "body": body,
                "headers": dict(headers or {}), "query": dict(query or {}), "params": params,
            }  # fmt: skip
            answer = await self.worker.call(name, {"type": "http", "value": value})
            self.calls.append(Invocation(name, answer["ok"], answer["error"], answer["ms"]))
            if not answer["ok"]:
                return 500, {}, answer["error"]
            returned = answer["return"]
            given = {key.lower(): text for key, text in returned["headers"].items()}
            return int(returned["status_code"]), given, returned["body"] or ""
        return 404, {}, ""

    async def invoke(self, function: str, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> bool:
        """Run a function and write what it put out; False when either failed."""
        try:
            answer = await self.worker.call(function, data, metadata)
        except WorkerDiedError as exc:
            self.calls.append(Invocation(function, False, f"the worker died: {exc}"))
            return False
        ok, error = answer["ok"], answer["error"]
        if ok:
            try:
                await self._write(function, answer["outputs"])
            except AzureError as exc:
                ok, error = False, f"an output binding could not be written: {type(exc).__name__}"
        self.calls.append(Invocation(function, ok, error, answer["ms"]))
        return bool(ok)

    async def _write(self, function: str, outputs: Mapping[str, Any]) -> None:
        names = {one["name"]: one["queueName"] for one in self.functions[function] if one["type"] == "queue"}
        for name, value in outputs.items():
            for text in value if isinstance(value, list) else [value]:
                await self.put(names[name], text)

    async def put(self, queue: str, text: str) -> None:
        """Send a message; the queue is made when it is missing, as the host does."""
        client = self._queues.get_queue_client(queue)
        try:
            await client.send_message(_encoded(text))
        except ResourceNotFoundError:
            with contextlib.suppress(ResourceExistsError):
                await client.create_queue()
            await client.send_message(_encoded(text))

    async def waiting(self, queue: str) -> list[str]:
        """The visible messages of a queue."""
        try:
            found = await self._queues.get_queue_client(queue).peek_messages(max_messages=32)
        except ResourceNotFoundError:
            return []
        return [_decoded(one.content) for one in found]

    async def depth(self, queue: str) -> int:
        """How many messages a queue holds, hidden ones too."""
        try:
            found = await self._queues.get_queue_client(queue).get_queue_properties()
        except ResourceNotFoundError:
            return 0
        return found.approximate_message_count or 0

    async def clear(self, queue: str) -> None:
        """Lose all messages of a queue, hidden ones too."""
        await self._queues.get_queue_client(queue).clear_messages()

    async def pump(self, *only: str) -> int:
        """Poll every queue trigger (or those of some functions) once, all messages at a time; returns how many."""
        polls = [
            self._poll(name, one["queueName"])
            for name, one in self.triggers("queueTrigger").items()
            if not only or name in only
        ]
        return sum(await asyncio.gather(*polls))

    async def run(self, seconds: float, *, until: Any = None, every_s: float = 60.0) -> None:
        """Serve queues, and a timer, for a time or until ``until`` (async) says so."""
        loop = asyncio.get_running_loop()
        end, tick_at = loop.time() + seconds, loop.time() + every_s
        while loop.time() < end:
            if loop.time() >= tick_at:
                tick_at = loop.time() + every_s
                await self.tick()
            handled = await self.pump()
            if until is not None and await until():
                return
            if not handled:
                await asyncio.sleep(0.1)

    async def _poll(self, function: str, queue: str) -> int:
        client = self._queues.get_queue_client(queue)
        try:
            found = [one async for one in client.receive_messages(max_messages=16, visibility_timeout=int(LEASE_S))]
        except ResourceNotFoundError:
            return 0
        done = await asyncio.gather(
            *(self._deliver(function, queue, message) for message in found), return_exceptions=True
        )
        for failed in done:
            if isinstance(failed, BaseException) and not isinstance(failed, AzureError):
                raise failed  # of storage's, the message comes again when its lease ends
        return len(found)

    async def _deliver(self, function: str, queue: str, message: QueueMessage) -> None:
        client = self._queues.get_queue_client(queue)
        renewing = asyncio.create_task(self._renew(queue, message))
        try:
            text = _decoded(message.content)
            ok = await self.invoke(function, {"type": "string", "value": text}, _metadata(message))
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        if ok:
            await client.delete_message(message)
        elif (message.dequeue_count or 0) >= self.max_dequeue_count:
            await self.put(f"{queue}-poison", _decoded(message.content))
            await client.delete_message(message)
        else:
            await client.update_message(message, visibility_timeout=self.visibility_s, content=message.content)

    async def _renew(self, queue: str, message: QueueMessage) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            again = await self._queues.get_queue_client(queue).update_message(
                message, visibility_timeout=int(LEASE_S), content=message.content
            )
            message.pop_receipt = again.pop_receipt


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(content: object) -> str:
    """As the host does with ``messageEncoding`` base64."""
    return base64.b64decode(str(content).encode("ascii"), validate=True).decode()


def _metadata(message: QueueMessage) -> dict[str, Any]:
    moments = {
        "InsertionTime": message.inserted_on,
        "ExpirationTime": message.expires_on,
        "NextVisibleTime": message.next_visible_on,
    }
    return {
        "Id": {"type": "string", "value": message.id},
        "DequeueCount": {"type": "json", "value": str(message.dequeue_count)},
        "PopReceipt": {"type": "string", "value": message.pop_receipt},
        **{name: {"type": "json", "value": json.dumps(_shown(at))} for name, at in moments.items()},
    }


def _shown(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S+00:00") if moment else ""


def _match(route: str, path: str) -> dict[str, str] | None:
    """The parameters of a path that a route matches."""
    ours, theirs = route.strip("/").split("/"), path.strip("/").split("/")
    if len(ours) != len(theirs):
        return None
    params: dict[str, str] = {}
    for want, got in zip(ours, theirs, strict=True):
        if want.startswith("{"):
            params[want.strip("{}").partition(":")[0]] = got
        elif want != got:
            return None
    return params


@contextlib.asynccontextmanager
async def function_host(
    packaged: Packaged, environ: Mapping[str, str], folder: Path, *, max_dequeue_count: int | None = None,
    visibility_s: int = 1,
) -> AsyncIterator[FunctionHost]:  # fmt: skip
    """A host with one worker; queue settings from the package's host.json, but for how long a failed message waits."""
    settings = json.loads((packaged.folder / "host.json").read_text(encoding="utf-8"))["extensions"]["queues"]
    assert settings["messageEncoding"] == "base64"
    worker = WorkerProcess(packaged, environ, folder / "worker.log")
    await worker.start()
    host = FunctionHost(
        worker, environ["AzureWebJobsStorage"], max_dequeue_count or settings["maxDequeueCount"], visibility_s
    )
    try:
        yield host
    finally:
        await worker.stop()
        await host.close()
