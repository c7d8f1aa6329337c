from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.base_subprocess import BaseSubprocessTransport
from pathlib import Path

import pytest

from scanguard.errors import ProcessError
from scanguard.process import minimal_environment, run_process

PYTHON = sys.executable


async def test_output_status_and_input_are_passed_on() -> None:
    code = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.stderr.write('e'); sys.exit(3)"
    ended = await run_process([PYTHON, "-c", code], stdin=b"abc", env=minimal_environment(), timeout_s=10)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, b"ABC", b"e")
    assert "ABC" not in repr(ended)


async def test_a_child_inherits_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCANGUARD_TEST_SECRET", "canary")
    code = "import os; print(sorted(os.environ))"
    ended = await run_process([PYTHON, "-c", code], env=minimal_environment(EXTRA="1"), timeout_s=10)
    assert b"SCANGUARD_TEST_SECRET" not in ended.stdout
    assert b"EXTRA" in ended.stdout


async def test_a_child_that_does_not_read_its_input_is_no_fault() -> None:
    ended = await run_process([PYTHON, "-c", ""], stdin=b"x" * 1_000_000, env={}, timeout_s=10)
    assert ended.returncode == 0


async def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(ProcessError, match="no-such-program cannot be started"):
        await run_process(["no-such-program"], env=minimal_environment(), timeout_s=10)


async def test_an_argument_that_cannot_be_passed_on_is_an_error() -> None:
    with pytest.raises(ProcessError, match="cannot be started"):
        await run_process([PYTHON, "a\0b"], env={}, timeout_s=10)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_a_child_that_says_too_much_is_ended(stream: str) -> None:
    code = f"import sys\nwhile True: sys.{stream}.write('x' * 65536)"
    with pytest.raises(ProcessError, match="more than 1000 bytes"):
        await run_process([PYTHON, "-c", code], env={}, timeout_s=20, max_output_bytes=1000)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # a zombie of our own reaper's is dead enough
    return not Path(f"/proc/{pid}/stat").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def _read_words(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


async def _pids(file: Path) -> list[int]:
    for _ in range(200):
        if len(words := _read_words(file)) == 2:
            return [int(word) for word in words]
        await asyncio.sleep(0.02)
    raise AssertionError("the child did not start")


# a child that starts a child, and would stay for a minute
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
with open(sys.argv[1], "w") as file: file.write(f"{os.getpid()} {child.pid}")
time.sleep(60)
"""


async def _all_gone(pids: list[int]) -> bool:
    for _ in range(100):
        if not any(map(_is_alive, pids)):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_a_child_past_its_time_is_killed_with_its_own_children(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(ProcessError, match="did not end within 1 s"):
        await run_process([PYTHON, "-c", FAMILY, str(tmp_path / "pids")], env={}, timeout_s=1)
    assert time.monotonic() - started < 5
    assert await _all_gone(await _pids(tmp_path / "pids"))


async def test_cancelling_the_caller_kills_the_child_with_its_own_children(tmp_path: Path) -> None:
    task = asyncio.create_task(run_process([PYTHON, "-c", FAMILY, str(tmp_path / "pids")], env={}, timeout_s=60))
    pids = await _pids(tmp_path / "pids")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _all_gone(pids)


async def test_cancelling_while_the_child_starts_kills_it_with_its_own_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = BaseSubprocessTransport._connect_pipes  # a step of asyncio, made slow

    async def connect_late(self: BaseSubprocessTransport, waiter: asyncio.Future[None] | None) -> None:
        await asyncio.sleep(1)
        await connect(self, waiter)

    monkeypatch.setattr(BaseSubprocessTransport, "_connect_pipes", connect_late)
    task = asyncio.create_task(run_process([PYTHON, "-c", FAMILY, str(tmp_path / "pids")], env={}, timeout_s=60))
    pids = await _pids(tmp_path / "pids")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert await _all_gone(pids)
