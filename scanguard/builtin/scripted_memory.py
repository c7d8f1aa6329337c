"""What the pretended service remembers: how often it was called, and which scans it took on.

In this process only, or in a journal: a file of JSON lines that every process appends to and reads. An append is one
write to a file opened with ``O_APPEND``, which a local file system does whole; so a process that is killed leaves
its whole line or none.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from scanguard.builtin.scripted_config import CallName, Fault
from scanguard.errors import ScannerUnavailableError
from scanguard.model.base import Instant, Model

MAX_JOURNAL_BYTES: Final = 256 * 1024 * 1024
log = logging.getLogger("scanguard.scripted")


class Result(StrEnum):
    """What came of a call: ``accepted`` and ``running`` give a ticket, ``answered`` the report."""

    ACCEPTED = "accepted"
    ANSWERED = "answered"
    RUNNING = "running"
    FOUND = "found"
    NONE = "none"
    FAILED = "failed"


class Call(Model):
    """One line of the journal."""

    call: CallName
    instance: str
    key: str
    digest: str
    number: int
    """Which call for this digest it is, counted from 1."""
    result: Result
    fault: Fault | None = None
    time: Instant
    ready_at: Instant | None = None
    """When the scan is done, of one that was taken on."""
    pid: int


class Memory:
    """The memory of one instance; used by several threads."""

    def __init__(self, journal: Path | None, instance: str) -> None:
        self._journal = journal
        self._instance = instance
        self._lock = threading.Lock()
        self._read_to = 0
        self._calls: Counter[str] = Counter()
        self._taken_on: dict[str, Call] = {}

    def note(self, key: str, digest: str, write: Callable[[int, Call | None], Call], *, at_least: int = 0) -> Call:
        """Remember a call.

        Args:
            key: The request's key.
            digest: The image's.
            write: Makes the line, from the number of this call and from the submit that took this key on, if any.
            at_least: Calls for this digest that the caller knows of.

        Errors:
            ScannerUnavailableError when the journal cannot be read or written.
        """
        with self._lock:
            if self._journal is None:
                made = write(self._next(digest, at_least), self._taken_on.get(key))
                self._learn(made)
                return made
            try:
                self._catch_up(self._journal)
                made = write(self._next(digest, at_least), self._taken_on.get(key))
                _append(self._journal, made.model_dump_json(exclude_none=True).encode() + b"\n")
            except OSError as exc:
                raise _unavailable(self._journal, exc.strerror or str(exc)) from exc
            return made

    def _next(self, digest: str, at_least: int) -> int:
        return max(self._calls[digest], at_least) + 1

    def _learn(self, call: Call) -> None:
        if call.instance != self._instance:
            return
        self._calls[call.digest] = max(self._calls[call.digest], call.number)
        if call.ready_at is not None and call.call == "submit":
            self._taken_on.setdefault(call.key, call)

    def _catch_up(self, journal: Path) -> None:
        """Read what was appended since the last look; a line that is still being written is read the next time."""
        try:
            with journal.open("rb") as file:
                if os.fstat(file.fileno()).st_size > MAX_JOURNAL_BYTES:
                    raise _unavailable(journal, f"it is larger than {MAX_JOURNAL_BYTES:,} bytes; begin another one")
                file.seek(self._read_to)
                fresh = file.read(MAX_JOURNAL_BYTES)
        except FileNotFoundError:
            return
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read_to += len(whole)
        for line in whole.splitlines():
            try:
                self._learn(Call.model_validate_json(line))
            except ValidationError:
                log.warning("a line of the journal cannot be read and is skipped: journal=%s", journal)


def _append(journal: Path, line: bytes) -> None:
    journal.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if os.write(descriptor, line) != len(line):
            raise _unavailable(journal, "only a part of a line could be written; make room on the disk")
    finally:
        os.close(descriptor)


def _unavailable(journal: Path, why: str) -> ScannerUnavailableError:
    return ScannerUnavailableError(f"the journal {journal} cannot be used: {why}", target=str(journal))
