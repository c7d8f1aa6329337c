"""What a thousand scans cost on Azure by each hosting plan's own rule, from measured handler times.

Usage: ``python tools/azure_costs.py MEASURED.json [--prices FILE]`` prints tables in Markdown. MEASURED looks like
``tools/azure_costs.example.json``; rules and prices, each with its source, stand in ``tools/azure_prices.json``.

The blocking design is one function that submits, sleeps until the scan is done, and stores: it is billed by the same
rule, with the same memory, for the scan's whole duration and ``blocking_overhead_s``.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TOOLS: Final = Path(__file__).resolve().parent
SCANS: Final = 1000
HOURS_PER_MONTH: Final = 730
SECONDS_PER_MONTH: Final = HOURS_PER_MONTH * 3600
OPERATIONS_PER_PRICE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Work:
    """Executions of one kind: how many, and the mean milliseconds of one."""

    count: float
    mean_ms: float


@dataclass(frozen=True, slots=True)
class Bill:
    """What is billed, before any free grant: GB-seconds, executions, USD."""

    gb_s: float
    executions: float
    usd: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured, and how the blocking design would have run."""

    origin: str
    scan_s: float
    blocking_overhead_s: float
    memory_mb: float
    concurrency: float
    handlers: Sequence[Work]
    storage: Mapping[str, float]
    idle: Mapping[str, Any]

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Measured:
        """From the JSON; KeyError names what is missing."""
        handlers = [Work(one["per_scan"], one["mean_ms"]) for one in document["handlers"].values()]
        return cls(
            origin=document["measured"],
            scan_s=document["scan_s"],
            blocking_overhead_s=document["blocking_overhead_s"],
            memory_mb=document["memory_mb"],
            concurrency=document["concurrency"],
            handlers=handlers,
            storage=document["storage_per_scan"],
            idle=document["idle"],
        )

    @property
    def ours(self) -> list[Work]:
        """A thousand scans as they are done here."""
        return [Work(work.count * SCANS, work.mean_ms) for work in self.handlers]

    @property
    def blocking(self) -> list[Work]:
        """A thousand scans, each in one function that waits."""
        return [Work(SCANS, (self.scan_s + self.blocking_overhead_s) * 1000)]

    @property
    def timers(self) -> list[Work]:
        """What runs in a month in which nothing happens."""
        return [Work(self.idle["timer_per_hour"] * HOURS_PER_MONTH, self.idle["timer_ms"])]


class Prices:
    """Rules and prices by name."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    @classmethod
    def load(cls, path: Path = TOOLS / "azure_prices.json") -> Prices:
        """From a file."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def __call__(self, *path: str) -> float:
        """One number, such as ``prices("plans", "flex", "minimum_ms")``."""
        found: Any = self._document
        for name in path:
            found = found[name]
        return float(found["value"])

    def entries(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Every number with its source, by dotted name."""
        yield from _entries(self._document, "")


def consumption(work: Sequence[Work], memory_mb: float, prices: Prices) -> Bill:
    """Each execution: time in steps of 1 ms and at least 100 ms, by memory in steps of 128 MB up to 1536 MB."""
    rule = ("plans", "consumption")
    step = prices(*rule, "memory_step_mb")
    billed_mb = min(max(math.ceil(memory_mb / step), 1) * step, prices(*rule, "memory_maximum_mb"))
    return _by_execution(work, billed_mb, rule, prices)


def flex(work: Sequence[Work], concurrency: float, prices: Prices) -> Bill:
    """Each active period of an instance: steps of 100 ms and at least 1 s, by the instance's memory whatever is used.

    ``concurrency`` executions share a period; 1, the worst case, is one period for each.
    """
    rule = ("plans", "flex")
    return _by_execution(work, prices(*rule, "instance_mb") / concurrency, rule, prices)


def premium(work: Sequence[Work], concurrency: float, prices: Prices) -> Bill:
    """The share of an instance's cores and memory that the work needs; executions cost nothing.

    An instance runs all month all the same: see :func:`premium_month`.
    """
    seconds = sum(one.count * one.mean_ms for one in work) / 1000 / concurrency
    gb_s = seconds * prices("plans", "premium", "instance_mb") / 1024
    return Bill(gb_s, sum(one.count for one in work), seconds / 3600 * _premium_hour(prices))


def premium_month(prices: Prices) -> float:
    """USD a month for the instances that always run."""
    return HOURS_PER_MONTH * prices("plans", "premium", "instances_always") * _premium_hour(prices)


def storage_usd(operations: Mapping[str, float], prices: Prices) -> float:
    """USD for operations by kind, replicated to the paired region."""
    once = sum(count / OPERATIONS_PER_PRICE * prices("storage", kind) for kind, count in operations.items())
    return once * prices("storage_geo_factor")


def idle_operations(measured: Measured, *, polling: bool) -> dict[str, float]:
    """Storage operations of a month in which nothing happens: timers, and where an instance stays up, polls."""
    timers = measured.idle["timer_per_hour"] * HOURS_PER_MONTH
    found = {kind: count * timers for kind, count in measured.idle["storage_per_timer"].items()}
    if polling:
        polls = measured.idle["queues"] * SECONDS_PER_MONTH / measured.idle["poll_interval_s"]
        found["queue"] = found.get("queue", 0) + polls
    return found


def most_executions(measured: Measured, prices: Prices, times: float = 20) -> int:
    """How many short executions a scan may take on Flex and still bill that many times less than waiting does."""
    waiting = flex([Work(1, (measured.scan_s + measured.blocking_overhead_s) * 1000)], 1, prices).gb_s
    one = flex([Work(1, 1)], 1, prices).gb_s
    return math.floor(waiting / times / one)


def tables(measured: Measured, prices: Prices) -> str:
    """Everything, as Markdown."""
    return "\n".join([*_scan_table(measured, prices), "", *_idle_table(measured, prices)])


def bills(measured: Measured, prices: Prices, work: Sequence[Work]) -> dict[str, Bill]:
    """The same work on each plan."""
    return {
        "Flex Consumption": flex(work, measured.concurrency, prices),
        "Consumption": consumption(work, measured.memory_mb, prices),
        "Premium EP1": premium(work, measured.concurrency, prices),
    }


def _scan_table(measured: Measured, prices: Prices) -> Iterator[str]:
    ours, blocking = bills(measured, prices, measured.ours), bills(measured, prices, measured.blocking)
    events = SCANS / 1e6 * prices("event_grid_usd_per_million")
    storage = storage_usd({kind: count * SCANS for kind, count in measured.storage.items()}, prices)
    yield f"Per 1,000 scans of {measured.scan_s:g} s, before free grants ({measured.origin}):"
    yield ""
    heads = ("plan", "GB-s", "GB-s, blocking", "times less", "executions")
    money = ("functions USD", "blocking USD", "storage USD", "events USD")
    yield f"| {' | '.join((*heads, *money))} |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for plan, bill in ours.items():
        other = blocking[plan]
        yield (
            f"| {plan} | {bill.gb_s:,.0f} | {other.gb_s:,.0f} | {other.gb_s / bill.gb_s:.1f} | {bill.executions:,.0f} "
            f"| {bill.usd:.3f} | {other.usd:.3f} | {storage:.3f} | {events:.4f} |"
        )


def _idle_table(measured: Measured, prices: Prices) -> Iterator[str]:
    month = bills(measured, prices, measured.timers)
    yield "A month in which nothing happens, before free grants:"
    yield ""
    yield "| plan | functions USD | storage operations | storage USD |"
    yield "|---|---:|---:|---:|"
    for plan, bill in month.items():
        operations = idle_operations(measured, polling=plan != "Flex Consumption")
        usd = premium_month(prices) if plan == "Premium EP1" else bill.usd
        yield f"| {plan} | {usd:.2f} | {sum(operations.values()):,.0f} | {storage_usd(operations, prices):.2f} |"


def _by_execution(work: Sequence[Work], billed_mb: float, rule: tuple[str, str], prices: Prices) -> Bill:
    least, step = prices(*rule, "minimum_ms"), prices(*rule, "granularity_ms")
    ms = sum(one.count * max(least, math.ceil(one.mean_ms / step) * step) for one in work)
    gb_s = ms / 1000 * billed_mb / 1024
    executions = sum(one.count for one in work)
    usd = gb_s * prices(*rule, "usd_per_gb_s") + executions / 1e6 * prices(*rule, "usd_per_million_executions")
    return Bill(gb_s, executions, usd)


def _premium_hour(prices: Prices) -> float:
    rule = ("plans", "premium")
    memory_gb = prices(*rule, "instance_mb") / 1024
    return prices(*rule, "cores") * prices(*rule, "usd_per_core_hour") + memory_gb * prices(*rule, "usd_per_gb_hour")


def _entries(document: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            path = f"{prefix}{name}"
            yield from [(path, value)] if "value" in value else _entries(value, f"{path}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="What a thousand scans cost on Azure.")
    parser.add_argument("measured", type=Path)
    parser.add_argument("--prices", type=Path, default=TOOLS / "azure_prices.json")
    asked = parser.parse_args(arguments)
    measured = Measured.read(json.loads(asked.measured.read_text(encoding="utf-8")))
    prices = Prices.load(asked.prices)
    print(tables(measured, prices))
    print(
        f"\nOn Flex a scan may take {most_executions(measured, prices)} executions of less than a second "
        "and still bill 20 times less than waiting."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
