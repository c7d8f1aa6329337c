from __future__ import annotations

import pytest

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
