"""What is done outside this process: connections made, processes started."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_TOLD_OF: Final = {
    "socket.connect": "opens a connection",
    "subprocess.Popen": "starts a process",
    "os.posix_spawn": "starts a process",
    "os.fork": "starts a process",
}
"""Audit events (https://docs.python.org/3/library/audit_events.html), and what they mean."""
_watchers: list[set[str]] = []
_hooked: list[bool] = []


@contextmanager
def watched_outside() -> Iterator[set[str]]:
    """What this process does outside itself from here on, in words; empty where it keeps to itself."""
    if not _hooked:  # a hook stays for the life of the process: one for all watchers
        _hooked.append(True)
        sys.addaudithook(_audit)
    seen: set[str] = set()
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)


def _audit(event: str, _: Any) -> None:  # noqa: ANN401  # a tuple of anything
    if _watchers and event in _TOLD_OF:
        for seen in _watchers:
            seen.add(_TOLD_OF[event])
