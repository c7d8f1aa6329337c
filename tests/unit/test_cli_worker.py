from __future__ import annotations

import logging

import pytest

from scanguard.cli.logs import KeyValueFormatter, redact
from scanguard.cli.output import canvas_for, wants_colour
from scanguard.errors import BackendError
from scanguard.testing.commands import FakeApplication, invoke


def test_once_works_until_nothing_is_pending() -> None:
    app = FakeApplication()
    result = invoke(["worker", "--once"], app)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Nothing is pending." in result.stderr
    assert app.worked == [(None, True)]


def test_a_backend_that_fails_ends_the_worker_with_70() -> None:
    result = invoke(["worker"], FakeApplication(raises=BackendError("the database cannot be opened: /x/scanguard.db")))
    assert result.exit_code == 70
    assert "the database cannot be opened" in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str) -> None:
    result = invoke(["completion", shell])
    assert result.exit_code == 0
    assert "_SCANGUARD_COMPLETE" in result.stdout


def test_an_unknown_shell_is_wrong_usage() -> None:
    assert invoke(["completion", "csh"]).exit_code == 2


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        pytest.param("Authorization: Bearer abcdef123456", "abcdef123456", id="bearer"),
        pytest.param("GET https://user:hunter2@r.example/v2/", "hunter2", id="user info"),
        pytest.param("https://h.example/hook?sig=SECRETSIG&x=1", "SECRETSIG", id="signature"),
        pytest.param("password=hunter2 x", "hunter2", id="password"),
    ],
)
def test_a_log_line_holds_no_credential(text: str, gone: str) -> None:
    record = logging.LogRecord("scanguard", logging.WARNING, __file__, 1, "failed: %s", (text,), None)
    assert gone not in KeyValueFormatter().format(record)
    assert redact(redact(text)) == redact(text)


def test_a_log_line_is_one_line_of_pairs_with_its_correlation_id() -> None:
    record = logging.LogRecord("scanguard.worker", logging.WARNING, __file__, 1, 'a "quoted"\nline\x1b[31m', (), None)
    record.correlation_id = "4b5e57f6"
    line = KeyValueFormatter().format(record)
    assert "level=warning logger=scanguard.worker" in line
    assert r'msg="a \"quoted\" line\\x1b[31m"' in line
    assert line.endswith("correlation_id=4b5e57f6")
    assert "\n" not in line


class Terminal:
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "colour"),
    [
        pytest.param({}, True, id="a terminal"),
        pytest.param({"NO_COLOR": "1"}, False, id="NO_COLOR"),
        pytest.param({"NO_COLOR": ""}, True, id="NO_COLOR empty counts as unset"),
        pytest.param({"TERM": "dumb"}, False, id="dumb terminal"),
        pytest.param({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, id="NO_COLOR wins"),
    ],
)
def test_colour_follows_the_terminal_and_the_environment(environ: dict[str, str], colour: bool) -> None:
    terminal = Terminal()
    assert wants_colour(terminal, environ) is colour  # type: ignore[arg-type]  # as much of a stream as is asked for


def test_a_pipe_is_as_wide_as_its_longest_line() -> None:
    assert canvas_for(None, {}).width > 10_000
