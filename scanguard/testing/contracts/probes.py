"""What the suites look at: a fresh import, child processes, open clients, and where a secret could show."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from scanguard.hooks import PluginContext
from scanguard.process import minimal_environment, run_process
from scanguard.testing.contexts import WatchedHttp

CANARY: Final = "canary-7c1f0d9e4b"
"""The value of the one secret of every test; wherever it shows, a real one would."""
CANCEL_LIMIT_S: Final = 1.0
"""Seconds that a cancelled call, or a close, may take."""
MAX_PAUSE_S: Final = 0.4
"""Seconds for which a plugin may keep the event loop to itself."""
_IMPORT: Final = """
import importlib, json, sys, threading, time
import scanguard.hooks
started = time.process_time()
importlib.import_module(sys.argv[1])
spent = time.process_time() - started
with open(sys.argv[2], "w") as report:
    json.dump({"spent_s": spent, "threads": threading.active_count()}, report)
"""


@dataclass(frozen=True)
class Import:
    """What importing a module did in a fresh process: what it wrote, CPU seconds, threads afterwards."""

    said: str
    spent_s: float
    threads: int


async def import_afresh(module: str, report: Path) -> Import:
    """Import a module in a new process that finds the same modules as this one."""
    environment = minimal_environment(PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    argv = [sys.executable, "-c", _IMPORT, module, str(report)]
    ended = await run_process(argv, env=environment, timeout_s=30)
    said = (ended.stdout + ended.stderr).decode(errors="replace")
    return _import(said, report)


def _import(said: str, report: Path) -> Import:
    if not report.exists():
        return Import(said or "nothing, and fails", 0.0, 1)
    measured = json.loads(report.read_text())
    return Import(said, float(measured["spent_s"]), int(measured["threads"]))


async def closed(plugin: Any) -> None:  # noqa: ANN401  # any kind of plugin
    """Close a plugin within the time allowed."""
    await asyncio.wait_for(plugin.aclose(), CANCEL_LIMIT_S)


def assert_closed(context: PluginContext) -> None:
    """Fail when an HTTP client of this context is still open."""
    if isinstance(context.http, WatchedHttp):
        assert not context.http.still_open, f"closed, it leaves {context.http.still_open} HTTP clients open"


def assert_no_canary(when: str, texts: Iterable[str]) -> None:
    """Fail when a text holds the secret; the message shows what stands before it."""
    for text in texts:
        at = text.find(CANARY)
        assert at < 0, f"{when}: the secret shows in …{text[max(at - 80, 0) : at]}[here]…"


def error_texts(error: BaseException | None) -> list[str]:
    """An error and what caused it, as a traceback would show them."""
    texts: list[str] = []
    while error is not None:
        texts += [str(error), repr(error), repr(getattr(error, "__dict__", {}))]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return texts


def log_arguments(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Every log record with all it carries, shown or not."""
    return [repr(vars(record)) for record in caplog.records]


def as_json(answer: object) -> str:
    """What would be stored of an answer, when it is a model."""
    dump: Callable[[], str] | None = getattr(answer, "model_dump_json", None)
    return dump() if dump else ""


def names(errors: Iterable[type[Exception]]) -> str:
    """Error classes, in words."""
    return " or ".join(error.__name__ for error in errors)


def child_processes() -> frozenset[int]:
    """Child processes, where the system tells."""
    found: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        try:
            found.update(map(int, task.read_text().split()))
        except OSError:  # the thread has ended
            continue
    return frozenset(found)


async def longest_pause(call: Awaitable[object]) -> float:
    """Seconds for which nothing else could run while this was awaited, at worst.

    What this thread spent working counts; that it was not let work (a busy machine) counts only when it is long.
    """
    worst = 0.0

    async def tick() -> None:
        nonlocal worst
        while True:
            began, busy = time.monotonic(), time.thread_time()
            await asyncio.sleep(0.02)
            pause = time.monotonic() - began - 0.02
            worked = time.thread_time() - busy
            worst = max(worst, pause if pause > 0.6 else min(pause, worked))

    ticking = asyncio.ensure_future(tick())
    await asyncio.sleep(0)
    try:
        await call
        await asyncio.sleep(0.03)
    finally:
        ticking.cancel()
    return worst
