"""A large Trivy report becomes our model: ``python benchmarks/trivy_parsing.py [--megabytes 50]``.

Beside it, what ``orjson.loads`` alone needs for the same bytes. The report is made of the real ones in the plugin's
tests, repeated under other ids and packages until it is large enough, and written with Trivy's own indentation. Each
side runs in a process of its own, whose memory is its highest resident size beyond that with the bytes read.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

REPORTS = Path(__file__).parent.parent / "plugins" / "trivy" / "tests" / "data" / "reports"
GOAL_TIME, GOAL_MEMORY = 3.0, 4.0
ROUNDS = 5
Json = dict[str, Any]


def large_report(size: int) -> bytes:
    samples = [json.loads(gzip.decompress(path.read_bytes())) for path in sorted(REPORTS.glob("image-*.json.gz"))]
    samples += [json.loads(gzip.decompress(path.read_bytes())) for path in sorted(REPORTS.glob("other-*.json.gz"))]
    whole = dict(samples[0])
    results: list[Json] = []
    for written, result in copies([result for sample in samples for result in sample.get("Results", [])]):
        if written >= size:
            break
        results.append(result)
    whole["Results"] = results
    return json.dumps(whole, indent=2).encode()


def copies(results: list[Json]) -> Iterator[tuple[int, Json]]:
    """The results over and over, each time about other packages; with the bytes that came before."""
    written, number = 0, 0
    while True:
        for result in results:
            copy = renamed(result, number)
            yield written, copy
            written += len(json.dumps(copy, indent=2)) * 11 // 10
        number += 1


def renamed(result: Json, number: int) -> Json:
    copy: Json = json.loads(json.dumps(result))
    copy["Target"] = f"{number}/{copy['Target']}"
    for found in (*copy.get("Packages", ()), *copy.get("Vulnerabilities", ())):
        identifier = found.get("Identifier") or found.get("PkgIdentifier") or {}
        identifier["UID"] = f"{identifier.get('UID', '')}{number}"
        identifier["PURL"] = f"{identifier.get('PURL', 'pkg:generic/a@1')}#{number}"
    for found in copy.get("Vulnerabilities", ()):
        found["VulnerabilityID"] = f"{found['VulnerabilityID']}{number:04}"
    return copy


def ours(data: bytes) -> object:
    from scanguard_trivy.checks import map_checks, map_secrets  # noqa: PLC0415  # only in its own process
    from scanguard_trivy.mapping import map_findings  # noqa: PLC0415  # as above
    from scanguard_trivy.report import parse_report  # noqa: PLC0415  # as above

    results = parse_report(data).results or ()
    return map_findings(results), map_checks(results), map_secrets(results)


def theirs(data: bytes) -> object:
    import orjson  # noqa: PLC0415  # only in its own process

    return orjson.loads(data)


SIDES: dict[str, Callable[[bytes], object]] = {"orjson": theirs, "ours": ours}


def measure(side: str, path: Path) -> None:
    """Print the median time and the memory of the first time."""
    work = SIDES[side]
    work(b'{"SchemaVersion":2,"ArtifactType":"container_image"}')
    data = path.read_bytes()
    gc.collect()
    before = highest_kib()
    kept = work(data)
    grown = highest_kib() - before
    del kept
    print(json.dumps({"seconds": statistics.median(timed(work, data) for _ in range(ROUNDS)), "kib": grown}))


def highest_kib() -> int:
    """Of this process alone: ``ru_maxrss`` begins with what the parent had (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def timed(work: Callable[[bytes], object], data: bytes) -> float:
    gc.collect()
    begun = time.perf_counter()
    kept = work(data)
    spent = time.perf_counter() - begun
    del kept
    return spent


def measured(side: str, path: Path) -> tuple[float, float]:
    command = [sys.executable, __file__, "--measure", side, str(path)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603  # this file
    return told["seconds"], told["kib"] / 1024


def main(megabytes: int) -> None:
    data = large_report(megabytes * 1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "report.json")
        path.write_bytes(data)
        (base_s, base_mib), (own_s, own_mib) = measured("orjson", path), measured("ours", path)
    print(f"{'a report of':24} {len(data) / 1e6:8.0f} MB, {data.count(b'VulnerabilityID')} vulnerabilities")
    print(f"{'orjson.loads':24} {base_s:8.2f} s  {base_mib:8.0f} MiB")
    print(f"{'read, checked, mapped':24} {own_s:8.2f} s  {own_mib:8.0f} MiB")
    times, memory = own_s / base_s, own_mib / base_mib
    print(f"{'ratio':24} {times:8.2f}    {memory:8.2f}      (goals: at most {GOAL_TIME:g} and {GOAL_MEMORY:g})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=50, help="size of the report (50)")
    parser.add_argument("--measure", nargs=2, metavar=("SIDE", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure[0], Path(options.measure[1]))
    else:
        main(options.megabytes)
