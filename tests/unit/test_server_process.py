"""``scanguard serve`` as a process: where it listens, how it ends, and what survives when it is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving import CONFIG, JSON, body, event

from scanguard.backends import embedded
from scanguard.engine.documents import Assessment
from scanguard.engine.store import Store
from scanguard.http import AsyncClient, HttpFactory, TransportError
from scanguard.ports import Lane, MessageKind

SCANGUARD = (sys.executable, "-c", "from scanguard.cli import main; main()")
PREFIX = b"Listening on "
HEAD = "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@contextmanager
def process(folder: Path, *arguments: str, config: str = CONFIG) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server and its address; killed at the end if it still runs."""
    path = folder / "scanguard.yaml"
    path.write_text(config, encoding="utf-8")
    command = [*SCANGUARD, "--config", str(path), "--data-dir", str(folder / "data"), "serve"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SCANGUARD")}
    with subprocess.Popen(  # noqa: S603  # this interpreter, our own arguments
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ
    ) as child:
        assert child.stdout is not None
        try:
            line = child.stdout.readline()
            assert line.startswith(PREFIX), child.communicate(timeout=10)
            yield child, line.removeprefix(PREFIX).decode().strip()
        finally:
            child.kill()


def client(url: str) -> AsyncClient:
    return HttpFactory().client(base_url=url, attempts=1, timeout_s=10)


async def queued(folder: Path) -> set[str]:
    """Ids of the intake messages that a new process finds."""
    async with embedded(folder / "data") as backend:
        deliveries = await backend.queue.receive(tuple(Lane), limit=10_000, visibility_s=1)
    return {one.message.id for one in deliveries if one.message and one.message.kind is MessageKind.INTAKE}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_0_soon(tmp_path: Path, number: signal.Signals) -> None:
    with process(tmp_path) as (child, url):
        async with client(url) as http:
            assert (await http.get("/readyz")).status_code == 200
            assert (await http.post("/events", content=body(event("a")), headers=JSON)).status_code == 200
        started = time.monotonic()
        child.send_signal(number)
        out, err = child.communicate(timeout=10)

    assert child.returncode == 0, err
    assert time.monotonic() - started < 5
    assert out == b""
    assert b"Stopped; what is pending stays" in err
    assert b"Traceback" not in err


async def test_a_request_in_hand_is_finished_and_no_new_one_is_taken(tmp_path: Path) -> None:
    with process(tmp_path, "--no-worker") as (child, url):
        port = int(url.rpartition(":")[2])
        content = body(event("a"))
        head = f"{HEAD}Content-Length: {len(content)}\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode() + content[:10])
        await asyncio.sleep(0.2)
        child.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        async with client(url) as http:
            with pytest.raises(TransportError):
                await http.get("/healthz")
        writer.write(content[10:])
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        child.communicate(timeout=10)

    assert answer.startswith(b"HTTP/1.1 200")
    assert child.returncode == 0
    assert len(await queued(tmp_path)) == 1


async def test_a_client_that_never_finishes_does_not_hold_the_end_up(tmp_path: Path) -> None:
    config = CONFIG + "  shutdown_s: 1\n  body_timeout_s: 60\n"
    with process(tmp_path, config=config) as (child, url):
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(f"{HEAD}Content-Length: 10\r\n\r\n[".encode())
        await asyncio.sleep(0.2)
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=8)
        writer.close()

    assert child.returncode == 0, err


async def test_what_was_acknowledged_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    for round_ in range(3):
        with process(tmp_path, "--no-worker") as (child, url):
            async with client(url) as http:

                async def send(
                    name: str,
                    http: AsyncClient = http,
                    kill: Callable[[], None] = child.kill,
                    most: int = 20 * (round_ + 1),
                ) -> None:
                    for number in range(10_000):
                        content = body(event(f"{name}-{number}"), event(f"{name}-{number}b"))
                        answer = await http.post("/events", content=content, headers=JSON)
                        if answer.status_code == 200:
                            acknowledged.update(answer.json()["accepted"])
                        if len(acknowledged) > most:
                            kill()

                results = await asyncio.gather(
                    *(send(f"{round_}-{sender}") for sender in range(4)), return_exceptions=True
                )
            assert all(isinstance(one, TransportError) for one in results), results
            assert child.wait(timeout=10) == -signal.SIGKILL

    assert len(acknowledged) > 60
    assert acknowledged <= await queued(tmp_path)


async def test_events_are_worked_on_in_the_same_process(tmp_path: Path) -> None:
    with process(tmp_path) as (child, url):
        async with client(url) as http:
            answer = await http.post("/events", content=body(event("a")), headers=JSON)
        (name,) = answer.json()["accepted"]
        async with embedded(tmp_path / "data") as backend, asyncio.timeout(10):
            while await Store(backend.state).get(Assessment, name) is None:  # noqa: ASYNC110  # another process works
                await asyncio.sleep(0.05)
        child.terminate()


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with process(tmp_path) as (_, url):
        port = url.rpartition(":")[2]
        command = [*SCANGUARD, "--data-dir", str(tmp_path / "other"), "serve", "--port", port]
        done = subprocess.run(command, capture_output=True, timeout=20, check=False, cwd=tmp_path)  # noqa: S603  # ours

    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1, port {port}" in done.stderr.decode()


def test_an_open_address_without_credentials_is_refused(tmp_path: Path) -> None:
    command = [*SCANGUARD, "--data-dir", str(tmp_path), "serve", "--host", "0.0.0.0"]  # noqa: S104  # refused
    done = subprocess.run(command, capture_output=True, timeout=20, check=False, cwd=tmp_path)  # noqa: S603  # ours

    assert done.returncode == 2
    assert b"configure server.keys or server.entra" in done.stderr


_WITHOUT_LIBRARIES = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in ("uvicorn", "starlette", "jwt"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import importlib.util
found = importlib.util.find_spec
def find_spec(name, package=None):
    try:
        return found(name, package)
    except ModuleNotFoundError:
        return None
importlib.util.find_spec = find_spec
from scanguard.cli import main
main()
"""


def test_without_its_libraries_it_says_what_to_install() -> None:
    command = [sys.executable, "-c", _WITHOUT_LIBRARIES, "serve"]
    done = subprocess.run(command, capture_output=True, timeout=20, check=False)  # noqa: S603  # this interpreter

    assert done.returncode == 2
    assert b'pip install "scanguard[serve]"' in done.stderr
