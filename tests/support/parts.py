"""Real programs that integration tests drive: found, started, waited for, and stopped by their id."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 5.0


def program(name: str, package: str) -> str:
    """The path of a program. Where it is missing: a skip that says so, and in CI a failure."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        missing(f"{name} is not installed (apt-get install {package})")
    return found


def missing(what: str) -> NoReturn:
    """Skip, saying what is missing; fail where CI is set, for there everything has to be there."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def free_port() -> int:
    """A loopback port that was free a moment ago; whoever starts a server on it checks that it did."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: Sequence[str], *, port: int, log: Path, env: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run a server while the block lasts; raises RuntimeError with its log when it does not listen in time."""
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env)  # noqa: S603  # a test's own server
        try:
            _wait_for(child, port, log)
            yield
        finally:
            child.terminate()
            try:
                child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _wait_for(child: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        if child.poll() is not None:
            break
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    state = "ended" if child.poll() is not None else "does not listen"
    raise RuntimeError(f"{child.args!r} {state}:\n{log.read_text(errors='replace')[-2000:]}")
