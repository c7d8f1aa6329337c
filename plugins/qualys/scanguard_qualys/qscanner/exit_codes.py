"""What QScanner's exit status means.

The table is a community's (github.com/nelssec/qualys-ado); a sibling project lists another for 10 to 32, so those are
read with care: none of them makes a result by itself, a report file has to be there.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from scanguard.errors import (
    ConfigError,
    ImageNotFoundError,
    ScanguardError,
    ScannerOutputError,
    ScannerUnavailableError,
    ScanUnsupportedError,
)


class Ended(Enum):
    """How a run ended, when that may still hold a report."""

    WELL = auto()
    IN_PART = auto()
    DENIED = auto()
    AUDITED = auto()


_IN_PART = range(11, 22)
_UNSUPPORTED = frozenset({15, 17})
_NO_IMAGE = range(5, 11)
_NO_SERVICE = range(30, 42)


_ENDED: Final = {0: Ended.WELL, 42: Ended.DENIED, 43: Ended.AUDITED}


def read_exit(code: int) -> Ended | ScanguardError:
    """The meaning of an exit status, or the error it is. A crash (a signal, 1, 137 …) is never a result."""
    if code in _ENDED:
        return _ENDED[code]
    if code in _IN_PART and code not in _UNSUPPORTED:
        return Ended.IN_PART
    return _error(code)


def _error(code: int) -> ScanguardError:
    if code in _UNSUPPORTED:
        told = f"QScanner does not support the image's operating system (exit {code})"
        return ScanUnsupportedError(told, plugin="qualys")
    if code == 2:
        return ConfigError("QScanner refuses its arguments (exit 2): check scan_types, pass_platform, extra_args")
    if code in _NO_IMAGE:
        return ImageNotFoundError(f"QScanner cannot read the image (exit {code}): is its registry reached from here?")
    if code in _NO_SERVICE:
        return ScannerUnavailableError(f"QScanner cannot talk to Qualys (exit {code})", plugin="qualys")
    how = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
    return ScannerOutputError(f"QScanner {how}; there is no result", plugin="qualys")
