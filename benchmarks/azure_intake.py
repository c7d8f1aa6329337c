"""How many events a second the function app acknowledges, against a handler that does nothing but enqueue.

    python benchmarks/azure_intake.py

Both run in Azure's own runtime, below the same small host, on the same Azurite; an event is acknowledged once its
message is in the queue. The other handler writes the event's own text into a queue and looks at nothing. Rounds of the
two alternate, so that this machine's noise hits both; what counts is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / name) for name in ("tools", "tests/support", "plugins/azure/tests/support")]

from azurite import azurite  # noqa: E402  # below what makes the tests' parts importable
from function_host import FunctionHost, function_host  # noqa: E402  # as above
from function_package import Packaged, packaged  # noqa: E402  # as above
from function_scene import Scene, grid_event  # noqa: E402  # as above

LEAST: Final = 0.8
ENQUEUE: Final = """
import json

import azure.functions as func

app = func.FunctionApp()


@app.function_name("Enqueue")
@app.event_grid_trigger("event")
@app.queue_output("message", queue_name="{queue}", connection="AzureWebJobsStorage")
async def enqueue(event: func.EventGridEvent, message: func.Out[str]) -> None:
    message.set(json.dumps({{"id": event.id, "data": event.get_json()}}))
"""


@dataclass(frozen=True)
class Rates:
    """Events a second, by round."""

    ours: Sequence[float]
    bare: Sequence[float]

    @property
    def ratio(self) -> float:
        """Median of what the rounds say."""
        return statistics.median(our / bare for our, bare in zip(self.ours, self.bare, strict=True))


async def measure(folder: Path, *, rounds: int, events: int, at_once: int) -> Rates:
    """Alternate between the two apps; the first round of each warms up and does not count."""
    package = await asyncio.to_thread(packaged)
    with azurite(folder) as storage:
        scene = Scene(folder / "scene", storage)
        bare = _bare_app(package, folder / "bare", f"bare{uuid.uuid4().hex[:8]}")
        settings = {"AzureWebJobsStorage": storage.connection_string}
        async with (
            function_host(package, scene.settings(), folder) as ours,
            function_host(bare, settings, folder / "bare") as theirs,
        ):
            found: dict[str, list[float]] = {"ours": [], "bare": []}
            for number in range(rounds + 1):
                pair = [("ours", ours), ("bare", theirs)]
                for name, host in pair if number % 2 else reversed(pair):
                    found[name].append(await _rate(host, number, events, at_once))
    return Rates(found["ours"][1:], found["bare"][1:])


def _bare_app(package: Packaged, folder: Path, queue: str) -> Packaged:
    """An app of its own: the same host.json and libraries, and a handler that only enqueues."""
    folder.mkdir()
    shutil.copy(package.folder / "host.json", folder)
    (folder / "function_app.py").write_text(ENQUEUE.format(queue=queue), encoding="utf-8")
    (folder / ".python_packages").symlink_to(package.folder / ".python_packages")
    return Packaged(folder, package.python)


async def _rate(host: FunctionHost, number: int, events: int, at_once: int) -> float:
    """Events acknowledged a second; each is another deployment."""
    waiting: list[dict[str, Any]] = [grid_event(f"app-{number}-{one}") for one in range(events)]
    began = time.perf_counter()

    async def deliver() -> None:
        while waiting:
            if not await host.event(waiting.pop()):
                raise RuntimeError(f"an event was not acknowledged: {host.calls[-1]}\n{host.worker.log()[-2000:]}")

    await asyncio.gather(*(deliver() for _ in range(at_once)))
    return events / (time.perf_counter() - began)


def main() -> int:
    """Measure, print, and end with 1 when it is less than 0.8."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--events", type=int, default=300, help="in a round")
    parser.add_argument("--at-once", type=int, default=8)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rates = asyncio.run(measure(Path(folder), rounds=asked.rounds, events=asked.events, at_once=asked.at_once))
    print(f"events acknowledged, in Azure's runtime  {statistics.median(rates.ours):.0f}/s")
    print(f"a handler that only enqueues             {statistics.median(rates.bare):.0f}/s")
    print(f"ratio, median of {asked.rounds} rounds               {rates.ratio:.2f}  (at least {LEAST})")
    print(json.dumps({"ours": [round(one) for one in rates.ours], "bare": [round(one) for one in rates.bare]}))
    return 0 if rates.ratio >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
