"""Every figure of speed that scanguard states, with its ratio: ``python benchmarks [--full]``.

Takes about two minutes; ``--full`` grows to 100,000 deployments and takes a quarter of an hour. One table, one run:
this machine's noise hits both sides of a ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import engine_cost
import merging
from rich.console import Console
from rich.table import Table

Row = tuple[str, str, str, str]
HEAVY = ("httpx", "rich", "pydantic", "yaml", "starlette", "uvicorn", "opentelemetry", "jinja2", "sqlite3")


def engine_rows(folder: Path, deployments: int) -> Iterator[Row]:
    commit = asyncio.run(engine_cost.commit_cpu_s(folder))
    rig = engine_cost.rig_with(deployments)
    (folder / "cost").mkdir()
    cpu, wall = asyncio.run(engine_cost.work(folder / "cost", rig, deployments))
    each = cpu / deployments
    yield "one durable commit, CPU", f"{commit * 1e3:.3f} ms", "", ""
    yield "one deployment, CPU", f"{each * 1e3:.2f} ms", f"{each / commit:.1f} commits", "<= 30"
    yield "in the process that takes events in too", f"{deployments / wall:.0f}/s", "", ""
    one = engine_cost.rate_of_workers(folder / "one", deployments, 1)
    two = engine_cost.rate_of_workers(folder / "two", deployments, 2)
    yield "one worker process", f"{one:.0f}/s", "", ""
    yield "two worker processes, one file", f"{two:.0f}/s", f"{two / one:.2f} x one", ""


def growth_rows(folder: Path, deployments: int, chunk: int) -> Iterator[Row]:
    told = asyncio.run(engine_cost.grow(folder, deployments, chunk))
    for done, cpu, rss in told:
        yield f"up to {done:,} deployments", f"{cpu / chunk * 1e3:.2f} ms each", f"{rss:.0f} MiB", ""
    (_, first, small), (_, last, large) = told[0], told[-1]
    yield "last chunk / first chunk", f"{last / first:.2f} x the CPU", f"{large - small:+.0f} MiB", "about 1, +0"


def pending_rows(folder: Path, scans: int) -> Iterator[Row]:
    most, late = asyncio.run(engine_cost.pending(folder, scans, wait_s=20))
    yield f"{scans:,} scans of 20 s, one worker", f"{most:,} pending at once", f"{late:.1f} s beyond the 20", ">= 1,000"


def merge_rows() -> Iterator[Row]:
    read, merged, left = merging.measure()
    yield "3 reports of 10,000 findings, read from JSON", f"{read * 1e3:.0f} ms", "", ""
    yield f"the same, merged into {left:,}", f"{merged * 1e3:.0f} ms", f"{merged / read:.2f} x", "<= 1"


def start_rows() -> Iterator[Row]:
    bare = started(["-c", "pass"])
    for label, arguments in (
        ("python, doing nothing", ["-c", "pass"]),
        ("import scanguard", ["-c", "import scanguard"]),
        ("import scanguard.engine.engine", ["-c", "import scanguard.engine.engine"]),
        ("scanguard --version", ["-m", "scanguard", "--version"]),
        ("scanguard --help", ["-m", "scanguard", "--help"]),
    ):
        spent = started(arguments)
        yield label, f"{spent * 1e3:.0f} ms", f"{spent / bare:.1f} x python", loaded(arguments)


def started(arguments: list[str], times: int = 7) -> float:
    """Median seconds of a whole process."""
    return statistics.median(_timed(arguments) for _ in range(times))


def _timed(arguments: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)  # noqa: S603  # this interpreter
    return time.perf_counter() - begun


def loaded(arguments: list[str]) -> str:
    """Which of the heavy libraries it loaded."""
    told = subprocess.run(  # noqa: S603  # this interpreter
        [sys.executable, "-X", "importtime", *arguments], check=True, capture_output=True, text=True
    ).stderr
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in told.splitlines()}
    return ", ".join(name for name in HEAVY if name in names) or "nothing heavy"


def show(console: Console, title: str, columns: tuple[str, str, str], rows: Iterator[Row]) -> None:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name, justify in zip(("", *columns), ("left", "right", "right", "left"), strict=True):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # rich's own words
    for row in rows:
        table.add_row(*row)
    console.print(table, "")


def main(*, full: bool) -> None:
    console = Console(width=110)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        show(console, "The engine", ("figure", "ratio", "goal"), engine_rows(folder, 2_000 if full else 600))
        total, chunk = (100_000, 10_000) if full else (4_000, 1_000)
        show(console, "Growth", ("CPU", "memory", "goal"), growth_rows(folder / "grow", total, chunk))
        show(console, "Pending", ("held", "late", "goal"), pending_rows(folder / "pending", 1_500))
        show(console, "Merging", ("time", "ratio", "goal"), merge_rows())
        show(console, "Cold start", ("time", "ratio", "loads"), start_rows())
    serve = [sys.executable, str(Path(__file__).with_name("serve.py")), "--full" if full else "--quick"]
    console.print("The service")
    subprocess.run(serve, check=True)  # noqa: S603  # a file beside this one
    console.print("\nReports of Trivy")
    trivy = [sys.executable, str(Path(__file__).with_name("trivy_parsing.py"))]
    subprocess.run(trivy, check=True)  # noqa: S603  # a file beside this one
    console.print("\nThe function app, which needs npm for Azurite")
    intake = [sys.executable, str(Path(__file__).with_name("azure_intake.py"))]
    subprocess.run(intake, check=False)  # noqa: S603  # a file beside this one; it says what is missing


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="grow to 100,000 deployments")
    main(full=parser.parse_args().full)
