"""Reads a report from the file that Trivy wrote. Blocking, for a thread."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from scanguard.errors import ScannerOutputError
from scanguard_trivy.report import TrivyReport, parse_report


def read_report(path: Path, max_bytes: int) -> TrivyReport:
    """Read and parse a report.

    Raises:
        ScannerOutputError: None was written, it is larger than ``max_bytes``, or not a report.
    """
    return parse_report(_read(path, max_bytes))


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ScannerOutputError("what trivy left as its report is no file", plugin="trivy")
            data = file.read(max_bytes + 1) if status.st_size <= max_bytes else b""
    except OSError as exc:
        raise ScannerOutputError(
            f"trivy ended well, and left no report that can be read ({exc.strerror})", plugin="trivy"
        ) from exc
    if status.st_size > max_bytes or len(data) > max_bytes:
        raise ScannerOutputError(
            f"the report has {status.st_size} bytes; at most max_report_bytes ({max_bytes}) are read", plugin="trivy"
        )
    return data
