"""The one place that starts child processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scanguard.errors import ProcessError

_CHUNK = 65536
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "USERPROFILE")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a child ended; its output may hold secrets and is not part of the ``repr``."""

    returncode: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)


def minimal_environment(**extra: str) -> dict[str, str]:
    """What a child needs to run at all, and what the caller adds: no secret of ours is inherited."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ} | extra


async def run_process(
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    env: Mapping[str, str],
    timeout_s: float,
    max_output_bytes: int = 1 << 20,
    cwd: Path | None = None,
) -> Finished:
    """Run a program to its end, whatever its exit status.

    Args:
        argv: Program and arguments; there is no shell.
        stdin: Sent to the child's standard input.
        env: The child's whole environment; see :func:`minimal_environment`.
        timeout_s: Longest run.
        max_output_bytes: Most it may write to each of standard output and standard error.
        cwd: Folder to run in.

    Raises:
        ProcessError: It did not start, ran too long, or wrote too much. It, and every process it started in
            its group, is killed then, and also when the caller is cancelled.
    """
    name = Path(argv[0]).name
    try:
        child = await _started(
            asyncio.create_subprocess_exec(
                *argv,
                stdin=PIPE if stdin is not None else DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        )
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else "its arguments cannot be passed on"
        raise ProcessError(f"{name} cannot be started: {reason}", target=name) from exc
    try:
        return await _communicate(child, stdin, timeout_s, max_output_bytes)
    except TimeoutError as exc:
        raise ProcessError(f"{name} did not end within {timeout_s:g} s", target=name) from exc
    except ExceptionGroup as exc:  # of the readers; nothing else in there raises
        raise ProcessError(f"{name} wrote more than {max_output_bytes} bytes", target=name) from exc
    finally:
        await _kill(child)


async def _started(starting: Coroutine[None, None, Process]) -> Process:
    """The child; whoever is cancelled meanwhile has it killed once it is there.

    asyncio itself would end the child alone, and wait for whoever it started by then to close its output.
    """
    task = asyncio.ensure_future(starting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.shield(_kill_started(task))
        raise


async def _kill_started(starting: asyncio.Future[Process]) -> None:
    with contextlib.suppress(OSError, ValueError):  # it did not start
        await _kill(await starting)


async def _communicate(child: Process, stdin: bytes | None, timeout_s: float, max_output_bytes: int) -> Finished:
    async with asyncio.timeout(timeout_s), asyncio.TaskGroup() as tasks:
        stdout = tasks.create_task(_read(child.stdout, max_output_bytes))
        stderr = tasks.create_task(_read(child.stderr, max_output_bytes))
        tasks.create_task(_feed(child, stdin))
        returncode = tasks.create_task(child.wait())
    return Finished(returncode.result(), stdout.result(), stderr.result())


class _TooMuchOutput(Exception):
    """Raised inside, turned into a ProcessError that names the program."""


async def _read(stream: asyncio.StreamReader | None, limit: int) -> bytes:
    data = bytearray()
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        data += chunk
        if len(data) > limit:
            raise _TooMuchOutput
    return bytes(data)


async def _feed(child: Process, data: bytes | None) -> None:
    if child.stdin is None or data is None:
        return
    # A child that does not read its input says why by its exit status.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        child.stdin.write(data)
        await child.stdin.drain()
    child.stdin.close()


async def _kill(child: Process) -> None:
    """End a child that has not ended, with the group it leads, and wait for it so that no zombie stays."""
    if child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    # asyncio waits for the end of pipes too, and one that nobody reads, or a grandchild holds, has no end.
    for number in range(3):
        pipe = child._transport.get_pipe_transport(number)  # type: ignore[attr-defined]  # not public, nor is any way
        if pipe is not None:
            pipe.close()
    await asyncio.shield(child.wait())
