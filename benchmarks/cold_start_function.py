"""Cold start of the packaged function app against the import of the Azure libraries that a first design would load.

``python benchmarks/cold_start_function.py [--rounds N]``: fresh processes of one Python, turn by turn, medians. The
five libraries are installed into an environment of this benchmark's own, with bytecode, as the package has it.

* wiring: importing azure.functions and the packaged ``function_app``; with a configuration that was checked and stamped
  when it was packed, and with the same configuration as an app setting, read and checked anew;
* first event: from the start of a fresh worker process (interpreter, Azure's runtime, indexing) to the moment when its
  first event is acknowledged: its message is in a queue on Azurite; without telemetry, and with Azure Monitor's;
* for comparison, what sending by the SDK instead of an output binding would import besides.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / name) for name in ("tests/support", "tools")]

import function_package  # noqa: E402  # found by the path above
import package_function  # noqa: E402  # found by the path above
from azurite import azurite  # noqa: E402  # found by the path above
from function_host import FunctionHost, WorkerProcess  # noqa: E402  # found by the path above
from function_package import Packaged, packaged  # noqa: E402  # found by the path above
from function_scene import Scene, grid_event  # noqa: E402  # found by the path above

LIBRARIES = (
    "azure-identity",
    "azure-storage-blob",
    "azure-data-tables",
    "azure-mgmt-containerinstance",
    "azure-mgmt-appcontainers",
)
IMPORTS = (
    "azure.identity, azure.storage.blob, azure.data.tables, azure.mgmt.containerinstance, azure.mgmt.appcontainers"
)
GOALS = {"wiring": "   goal 0.50", "first event": "   goal 1.00", "first event, monitored": "   goal 1.00"}
MONITORED = {
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=00000000-0000-0000-0000-000000000000;"
    "IngestionEndpoint=http://127.0.0.1:9/"
}
"""Telemetry for a resource that is not there: nothing may be sent before the first event is acknowledged."""
TIMED = (
    "import time; begun, cpu = time.perf_counter(), time.process_time()\n{code}\n"
    "print((time.perf_counter() - begun) * 1e3, (time.process_time() - cpu) * 1e3)"
)
Took = tuple[float, float]
"""By the clock, and of the processor; milliseconds. Where other programs run, too, only the second means much."""


def library_environment(python: Path) -> Path:
    """An environment with the five, made once."""
    root = function_package.cache_folder() / f"function-libraries-{python.parent.parent.name}"
    if not (root / "ready").exists():
        run = lambda *command: subprocess.run([str(part) for part in command], check=True)  # noqa: E731, S603  # as listed
        run(python, "-m", "venv", "--clear", root)
        run(root / "bin" / "python", "-m", "pip", "install", "-q", *LIBRARIES)
        run(root / "bin" / "python", "-m", "compileall", "-q", root / "lib")
        (root / "ready").touch()
    return root / "bin" / "python"


def timed_ms(python: Path, code: str, environ: dict[str, str], folder: Path) -> Took:
    """What an import takes inside a fresh process."""
    command = [str(python), "-c", TIMED.format(code=code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ, cwd=folder)  # noqa: S603  # ours
    wall, cpu = done.stdout.split()[-2:]
    return float(wall), float(cpu)


def _cpu_ms(pid: int) -> float:
    """Of a running process, since its start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e3 / os.sysconf("SC_CLK_TCK")


async def first_event_ms(package: Packaged, settings: dict[str, str], scene: Scene) -> Took:
    """From no worker process to an acknowledged event; the host runs already, as it does in Azure."""
    worker = WorkerProcess(package, settings, scene.folder / "worker.log")
    host = FunctionHost(worker, settings["AzureWebJobsStorage"], 10, 1)
    try:
        await host.put(f"{scene.prefix}fresh", "the queue is there, and the host connected")
        begun = time.perf_counter()
        await worker.start()
        assert await host.event(grid_event("api")), worker.log()
        took = (time.perf_counter() - begun) * 1e3, _cpu_ms(worker.pid)
        await worker.stop()
        return took
    finally:
        await host.close()


def measure(rounds: int) -> dict[str, list[Took]]:
    """All takes, by name."""
    extras = ["azure", "azure-monitor", "qualys"]
    package = packaged(",".join(extras))
    libraries = library_environment(package.python)
    with tempfile.TemporaryDirectory() as place, azurite(Path(place)) as storage:
        folder = Path(place)
        scene = Scene(folder / "scene", storage)
        plain = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
        settings = scene.settings()
        given = settings.pop("SCANGUARD_CONFIG")
        shutil.copytree(package.folder, folder / "app", symlinks=True)
        (folder / "app" / "scanguard.yaml").write_text(given)
        package_function.check(folder / "app", extras, str(package.python), settings)
        package = Packaged(folder / "app", package.python)
        site = package.folder.joinpath(".python_packages", "lib", "site-packages")
        ours = {**plain, **settings, "PYTHONPATH": f"{package.folder}:{site}"}
        unstamped = {**ours, "SCANGUARD_CONFIG": given}
        event = lambda given: asyncio.run(first_event_ms(package, given, scene))  # noqa: E731  # twice
        by_setting = {**settings, "SCANGUARD_CONFIG": given}
        measured: dict[str, Callable[[], Took]] = {
            "libraries, import": lambda: timed_ms(libraries, f"import {IMPORTS}", plain, folder),
            "wiring": lambda: timed_ms(package.python, "import function_app", ours, package.folder),
            "wiring, unstamped": lambda: timed_ms(package.python, "import function_app", unstamped, package.folder),
            "azure.functions alone": lambda: timed_ms(package.python, "import azure.functions", ours, package.folder),
            "the SDK's import": lambda: timed_ms(
                package.python, "import azure.storage.queue.aio", ours, package.folder
            ),
            "first event": lambda: event(settings),
            "first event, monitored": lambda: event({**settings, **MONITORED}),
            "first event, unstamped": lambda: event(by_setting),
        }
        found: dict[str, list[Took]] = {name: [] for name in measured}
        for _ in range(rounds):
            for name, take in measured.items():
                found[name].append(take())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    found = measure(parser.parse_args().rounds)
    figures = {
        name: (
            statistics.median(wall for wall, _ in taken),
            min(wall for wall, _ in taken),
            statistics.median(cpu for _, cpu in taken),
        )
        for name, taken in found.items()
    }
    reference = figures["libraries, import"]
    print(f"{'ms':24}{'median':>9}{'best':>9}{'CPU':>9}   x libraries: median, best, CPU")
    for name, values in figures.items():
        ratios = "  ".join(f"{value / whole:.2f}" for value, whole in zip(values, reference, strict=True))
        goal = GOALS.get(name)
        print(f"{name:24}" + "".join(f"{value:9.0f}" for value in values) + f"   {ratios}{goal or ''}")


if __name__ == "__main__":
    main()
