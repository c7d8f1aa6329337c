"""The one place where an error becomes words and an exit code."""

from __future__ import annotations

import logging
import traceback
from typing import Final

import click

from scanguard.cli.exit_codes import ExitCode
from scanguard.cli.output import note
from scanguard.errors import (
    ConfigError,
    EventError,
    InvalidReferenceError,
    PluginConflictError,
    PluginLoadError,
    PluginMissingError,
    ScanguardError,
    SecretError,
)
from scanguard.telemetry.redact import redact

_USAGE_ERRORS: Final = (
    ConfigError,
    EventError,
    InvalidReferenceError,
    PluginConflictError,
    PluginLoadError,
    PluginMissingError,
    SecretError,
)
_HINTS: Final[dict[type[ScanguardError], str]] = {
    ConfigError: "`scanguard config check` checks it again; `scanguard config init` writes one that works",
    PluginLoadError: "`scanguard plugins` shows what is installed and why something is not loaded",
    PluginMissingError: "`scanguard plugins` shows what is installed",
    PluginConflictError: "`scanguard plugins` shows who offers what",
}
_log = logging.getLogger(__name__)


def report(error: BaseException) -> ExitCode:
    """Say what went wrong on standard error; return the exit code it stands for."""
    if isinstance(error, KeyboardInterrupt):
        note("Stopped. What was accepted is kept; `scanguard worker` goes on with it.")
        return ExitCode.INTERRUPTED
    if isinstance(error, ScanguardError):
        return _report_known(error)
    if isinstance(error, click.ClickException):
        error.show()
        return ExitCode.USAGE
    return _report_unexpected(error)


def code_of_error(error: ScanguardError) -> ExitCode:
    """2 where the user can put it right in what they wrote or installed, else 70."""
    return ExitCode.USAGE if isinstance(error, _USAGE_ERRORS) else ExitCode.INTERNAL


def _report_known(error: ScanguardError) -> ExitCode:
    about = f" (plugin {error.plugin})" if error.plugin and error.plugin not in error.message else ""
    note(f"Error: {error.message}{about}")
    if isinstance(error, ConfigError):
        for problem in error.problems:
            note(f"  {problem}")
    if hint := _HINTS.get(type(error)):
        note(f"Hint: {hint}.")
    _log.debug("%s", type(error).__name__, exc_info=error)
    return code_of_error(error)


def _report_unexpected(error: BaseException) -> ExitCode:
    note(
        f"Internal error: {type(error).__name__}. Accepted work is kept. Run again with --log-level debug for details."
    )
    if _log.isEnabledFor(logging.DEBUG):
        for line in redact("".join(traceback.format_exception(error, limit=-8))).splitlines():
            note(line)
    return ExitCode.INTERNAL
