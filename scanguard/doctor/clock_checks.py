"""Area ``clock``: this machine's time against that of servers, and against what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from scanguard.doctor.check import Check, ok, skipped, warn
from scanguard.doctor.host import ServerTime
from scanguard.render.text import instant, listing, span_of

AREA: Final = "clock"
MOST_SKEW: Final = timedelta(minutes=5)
"""Tokens and certificates are refused by clocks that differ more."""
_REMEDY: Final = "set the clock, and let a time service (NTP, chrony, the hypervisor's) keep it"


def judge_skew(times: Sequence[ServerTime]) -> Check:
    """Compare with the server that agrees most: one server that is wrong says nothing of us."""
    if not times:
        return skipped(AREA, "servers", "no server that tells the time was reached")
    nearest = min(times, key=lambda one: abs(one.ahead))
    servers = listing(sorted({one.server for one in times}))
    if abs(nearest.ahead) <= MOST_SKEW:
        return ok(AREA, "servers", f"agrees with {nearest.server} within {max(abs(nearest.ahead).seconds, 1)} s")
    way = "behind" if nearest.ahead > timedelta(0) else "ahead of"
    return warn(AREA, "servers", f"this machine is {span_of(abs(nearest.ahead))} {way} {servers}", _REMEDY)


def judge_newest(newest: datetime | None, now: datetime) -> list[Check]:
    """A verdict from the future means that the clock was set back since, or that another machine's is ahead."""
    if newest is None:
        return []
    if newest - now <= MOST_SKEW:
        return [ok(AREA, "stored", f"the newest verdict is of {instant(newest)}")]
    detail = f"the newest verdict is of {instant(newest)}, {span_of(newest - now)} ahead: the clock went back"
    return [warn(AREA, "stored", detail, f"{_REMEDY}; until then waits and leases end late")]
