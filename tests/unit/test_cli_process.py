"""What only a real process shows: signals, closed pipes, encodings, what gets imported."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Mapping

import pytest

_HEAVY = ("httpx", "rich", "pydantic", "sqlite3", "asyncio", "yaml", "opentelemetry")


def python(code: str, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603  # this interpreter, a constant script
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        timeout=30,
        check=False,
        env={**os.environ, **(environ or {})},
    )


_LIST_MODULES = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
from scanguard.cli import main
main()
"""


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [pytest.param("--version", (), id="version"), pytest.param("--help", ("pydantic", "asyncio"), id="help")],
)
def test_a_cold_start_imports_nothing_it_does_not_need(argument: str, allowed: tuple[str, ...]) -> None:
    done = python(_LIST_MODULES, argument)
    assert done.returncode == 0
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert loaded & (set(_HEAVY) - set(allowed)) == set()


_WRITE_A_LOT = """
import sys
import termios
from scanguard.cli.output import note, write
for _ in range(20):
    write("x" * 100_000 + "\\n")
note("still here")
sys.exit(10)
"""


def test_a_reader_that_leaves_early_does_not_change_the_exit_code() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(  # noqa: S603  # this interpreter, a constant script
            [sys.executable, "-c", _WRITE_A_LOT], stdout=writer, stderr=subprocess.PIPE, timeout=30, check=False
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (10, b"still here\n")


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        pytest.param("ascii", b"... - \\xe9 \\u6f22\n", id="ascii"),
        pytest.param("latin-1", b"... - \xe9 \\u6f22\n", id="latin-1"),
        pytest.param("utf-8", "… · é 漢\n".encode(), id="utf-8"),
    ],
)
def test_a_terminal_in_another_encoding_gets_the_nearest_letters(encoding: str, expected: bytes) -> None:
    code = "from scanguard.cli.output import write; write('… · é 漢\\n')"
    done = python(code, environ={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    assert (done.returncode, done.stdout) == (0, expected)


def test_a_closed_standard_output_is_no_error() -> None:
    code = "import sys; from scanguard.cli.output import write; sys.stdout = None; write('x')"
    assert python(code).returncode == 0


def test_a_full_disk_is_an_error_and_not_a_verdict() -> None:
    code = "import sys; from scanguard.cli import main; sys.stdout = open('/dev/full', 'w'); main()"
    done = python(code, "completion", "bash")
    assert done.returncode == 70
    assert b"No space left" in done.stderr


_WORKER = """
import asyncio, sys
from scanguard.cli.context import CliContext
from scanguard.cli.root import cli
from scanguard.testing.commands import FakeApplication

class Endless(FakeApplication):
    async def work(self, **options):
        print("ready", flush=True)
        try:
            await asyncio.sleep(60)
        finally:
            print("cleaned up", flush=True)

cli.main(args=sys.argv[1:], prog_name="scanguard", obj=CliContext(open_app=Endless(letters={"a": ""}).load))
"""


@pytest.mark.parametrize(
    ("arguments", "number", "code", "told"),
    [
        pytest.param(["worker"], signal.SIGTERM, 0, b"Stopped; what is pending stays", id="worker, terminated"),
        pytest.param(["worker"], signal.SIGINT, 0, b"Stopped; what is pending stays", id="worker, Ctrl-C"),
        pytest.param(["scan", "x:1"], signal.SIGINT, 130, b"`scanguard worker` goes on with it", id="scan, Ctrl-C"),
    ],
)
def test_signals_end_the_work_gracefully(arguments: list[str], number: signal.Signals, code: int, told: bytes) -> None:
    command = [sys.executable, "-c", _WORKER, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:  # noqa: S603  # this interpreter
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(number)
        out, err = child.communicate(timeout=20)
    assert child.returncode == code
    assert out == b"cleaned up\n"
    assert told in err
    assert b"Traceback" not in err


_SCAN_ON_A_TERMINAL = """
import sys
import termios
from scanguard.app import Progress
from scanguard.cli.context import CliContext
from scanguard.cli.root import cli
from scanguard.model.verdict import Outcome
from scanguard.testing.commands import FakeApplication
from scanguard.testing.samples import sample_image_verdict, sample_report, sample_verdict

report = sample_report()
image = sample_image_verdict(report, Outcome.FAIL, container="web\\x1b]0;owned\\x07")
app = FakeApplication(
    [sample_verdict(images=[image])], {image.merged: report}, steps=[Progress("a", "evil\\x1b[2J", "osv", "scanning")]
)
cli.main(args=["scan", "x:1"], prog_name="scanguard", obj=CliContext(open_app=app.load))
"""


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_terminal_gets_colour_in_its_own_width_and_no_foreign_sequence(columns: int) -> None:
    leader, follower = os.openpty()
    termios.tcsetwinsize(follower, (24, columns))
    environ = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    with subprocess.Popen(  # noqa: S603  # this interpreter, a constant script
        [sys.executable, "-c", _SCAN_ON_A_TERMINAL],
        stdout=follower,
        stderr=follower,
        env={**environ, "TERM": "xterm-256color"},
    ) as child:
        os.close(follower)
        shown = read_all(leader)
    assert child.returncode == 10
    text = shown.decode()
    assert "\x1b[1;31mFAIL\x1b[0m" in text
    assert "\x1b]0" not in text
    assert "\x07" not in text
    assert "evil\x1b" not in text
    result = text[text.index("Container group") :]
    plain = re.sub(r"\x1b\[[\d;]*m", "", result).replace("\r", "")
    assert max(len(line) for line in plain.splitlines()) <= columns
    assert "CRITICAL" in plain


def read_all(leader: int) -> bytes:
    """Everything written to a pseudo-terminal until its last writer is gone."""
    chunks: list[bytes] = []
    while True:
        try:
            chunk = os.read(leader, 65_536)
        except OSError:  # Linux answers EIO when the other side is closed
            chunk = b""
        if not chunk:
            os.close(leader)
            return b"".join(chunks)
        chunks.append(chunk)
