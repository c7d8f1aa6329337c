"""Cold start of the packaged function app against the import of the Azure libraries that a first design would load.

``python benchmarks/cold_start_function.py [--rounds N]``: fresh processes of one Python, turn by turn, medians. The
five libraries are installed into an environment of this benchmark's own, with bytecode, as the package has it.

* wiring: importing azure.functions and the packaged ``function_app``; with a configuration that was checked and stamped
  when it was packed, and with the same configuration as an app setting, read and checked anew;
* first event: from the start of a fresh worker process (interpreter, Azure's runtime, indexing) to the moment when its
  first event is acknowledged: its message is in a queue on Azurite;
* for comparison, what sending by the SDK instead of an output binding would import besides.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / name) for name in ("tests/support", "tools")]

import function_package  # noqa: E402  # found by the path above
import package_function  # noqa: E402  # found by the path above
from azurite import azurite  # noqa: E402  # found by the path above
from function_host import function_host  # noqa: E402  # found by the path above
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
TIMED = "import time; begun = time.perf_counter()\n{code}\nprint((time.perf_counter() - begun) * 1e3)"


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


def timed_ms(python: Path, code: str, environ: dict[str, str], folder: Path) -> tuple[float, float]:
    """Time inside a fresh process, and from its start to its end; milliseconds."""
    begun = time.perf_counter()
    command = [str(python), "-c", TIMED.format(code=code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ, cwd=folder)  # noqa: S603  # ours
    return float(done.stdout.split()[-1]), (time.perf_counter() - begun) * 1e3


async def first_event_ms(package: Packaged, settings: dict[str, str], scene: Scene) -> float:
    """From nothing to an acknowledged event."""
    begun = time.perf_counter()
    async with function_host(package, settings, scene.folder) as host:
        assert await host.event(grid_event("api")), host.worker.log()
        return (time.perf_counter() - begun) * 1e3


def measure(rounds: int) -> dict[str, float]:
    """Medians of all, by name, in milliseconds."""
    package = packaged()
    extras = ["azure", "qualys"]
    libraries = library_environment(package.python)
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, azurite(Path(name)) as storage:
        folder = Path(name)
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
        for _ in range(rounds):
            inside, whole = timed_ms(libraries, f"import {IMPORTS}", plain, folder)
            found.setdefault("libraries, import", []).append(inside)
            found.setdefault("libraries, whole process", []).append(whole)
            inside, whole = timed_ms(package.python, "import function_app", ours, package.folder)
            found.setdefault("wiring, import", []).append(inside)
            inside, _ = timed_ms(package.python, "import function_app", unstamped, package.folder)
            found.setdefault("wiring, unstamped", []).append(inside)
            inside, _ = timed_ms(package.python, "import azure.functions", ours, package.folder)
            found.setdefault("of that azure.functions", []).append(inside)
            found.setdefault("first event", []).append(asyncio.run(first_event_ms(package, settings, scene)))
            by_setting = {**settings, "SCANGUARD_CONFIG": given}
            found.setdefault("first event, unstamped", []).append(
                asyncio.run(first_event_ms(package, by_setting, scene))
            )
            inside, _ = timed_ms(package.python, "import azure.storage.queue.aio", ours, package.folder)
            found.setdefault("the SDK's import", []).append(inside)
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    told = measure(parser.parse_args().rounds)
    wiring = told["wiring, import"] / told["libraries, import"]
    event = told["first event"] / told["libraries, import"]
    for name, value in told.items():
        print(f"{name:28} {value:8.0f} ms")
    print(f"{'wiring / libraries':28} {wiring:8.2f}    goal <= 0.50")
    print(f"{'first event / libraries':28} {event:8.2f}    goal <= 1.00")
    print(json.dumps({"wiring": round(wiring, 3), "first_event": round(event, 3)}), file=sys.stderr)


if __name__ == "__main__":
    main()
