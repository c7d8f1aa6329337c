"""Exit codes, and which one wins when several apply."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """What the process says with its exit code."""

    OK = 0
    USAGE = 2
    FAIL = 10
    UNKNOWN = 11
    DELIVERY = 12
    INTERNAL = 70
    INTERRUPTED = 130


_PRECEDENCE: Final = (
    ExitCode.INTERRUPTED,
    ExitCode.INTERNAL,
    ExitCode.USAGE,
    ExitCode.FAIL,
    ExitCode.UNKNOWN,
    ExitCode.DELIVERY,
)
_OF_OUTCOME: Final = {"pass": ExitCode.OK, "warn": ExitCode.OK, "fail": ExitCode.FAIL, "unknown": ExitCode.UNKNOWN}

HELP: Final = """\b
Exit codes:
  0    every verdict is pass or warn
  10   a verdict is fail
  11   a verdict is unknown: nobody looked, or not everywhere
  12   judged, but a result could not be delivered
  2    the configuration, an option or an input is wrong
  70   internal error
Of several, the first in 70, 2, 10, 11, 12. Ctrl-C ends with 130."""


def worst_code(codes: Iterable[ExitCode]) -> ExitCode:
    """The one that wins; nothing at all is fine."""
    found = set(codes)
    return next((code for code in _PRECEDENCE if code in found), ExitCode.OK)


def code_of(outcome: str) -> ExitCode:
    """The exit code of a verdict's outcome; what is not known is unknown."""
    return _OF_OUTCOME.get(outcome, ExitCode.UNKNOWN)
