"""One scan at a time, read off what the scanner was asked.

Of every scan (a request's key) at most one submit may be taken on, for the scanner answers ``find``. And a digest is
submitted anew, under another key, only after the scan before failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scanguard.builtin.scripted_config import Fault
from scanguard.builtin.scripted_memory import Call, Result

_TAKEN = frozenset({Result.ACCEPTED, Result.ANSWERED})


def is_taken_on(call: Call) -> bool:
    """Whether this call made the scanner begin a scan."""
    return call.call == "submit" and call.result in _TAKEN


def is_refusal(call: Call) -> bool:
    """Whether this call was answered by a fault; one that hangs is answered."""
    return call.fault not in (None, Fault.HANG)


def double_submissions(calls: Sequence[Call]) -> Iterator[str]:
    """A sentence for each scan that was begun although it was under way, or done, already."""
    scans: dict[str, Call] = {}
    last: dict[str, Call] = {}
    current: dict[str, str] = {}
    for call in calls:
        if is_taken_on(call):
            if call.key in scans:
                yield _sentence(call, scans[call.key])
            earlier = current.get(call.digest, call.key)
            if earlier != call.key and not is_refusal(last[earlier]):
                yield _sentence(call, last[earlier])
            scans.setdefault(call.key, call)
            current[call.digest] = call.key
        last[call.key] = call


def _sentence(call: Call, earlier: Call) -> str:
    seconds = (call.time - earlier.time).total_seconds()
    return (
        f"{call.digest[:19]}… was submitted again ({call.key}, process {call.pid}) {seconds:.1f} s after "
        f"{earlier.call} was {earlier.result} ({earlier.key}, process {earlier.pid})"
    )
