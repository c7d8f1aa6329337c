"""A day with the service: a thousand events while it is killed twice, a scanner that breaks, and its mending."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from scanguard.http import AsyncClient, HttpFactory, TransportError
from scanguard.testing.images import build_image, write_oci_folder

pytestmark = pytest.mark.integration

EVENTS = 1_000
IMAGES = 40
GROUP = "/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerInstance/containerGroups"
SCANGUARD = (sys.executable, "-m", "scanguard")
PREFIX = "Listening on "


class Day:
    """A folder with images, deployments and a configuration that changes during the day."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for number in range(IMAGES + 1):
            image = build_image([{"etc/number": str(number).encode()}])
            write_oci_folder(folder / "images" / str(number), {"": image})
        deployments = [
            {"resource_id": f"{GROUP}/d-{number}", "containers": [{"name": "c", "image": self.image(number)}]}
            for number in range(EVENTS + 1)
        ]
        (folder / "deployments.json").write_text(json.dumps(deployments), encoding="utf-8")
        self.configure()

    @staticmethod
    def image(number: int) -> str:
        """Many deployments share an image; the last one has its own."""
        return f"oci:images/{number % IMAGES if number < EVENTS else IMAGES}"

    def configure(self, **scripted: Any) -> None:
        instances = {
            "rehearsal": {"plugin": "scripted", "latency_s": 0.5, "poll_s": 0.2, **scripted},
            "deployments": {"plugin": "static", "file": "deployments.json"},
        }
        chain = {"scanners": ["rehearsal"], "policies": [{"plugin": "threshold", "fail": {"severity": "CRITICAL"}}]}
        document = {
            "version": 1,
            "instances": instances,
            "chains": {"default": chain},
            "engine": {"lease_s": 5.0},
            "server": {"port": 0, "rate_per_s": 100_000, "client_rate_per_s": 100_000},
        }
        (self.folder / "scanguard.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        return [
            *SCANGUARD,
            "--config",
            str(self.folder / "scanguard.yaml"),
            "--data-dir",
            str(self.folder / "data"),
            *arguments,
        ]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), check=False, capture_output=True, text=True, timeout=120)  # noqa: S603  # this interpreter

    def told(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--format", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def serving(self) -> Iterator[tuple[subprocess.Popen[str], str]]:
        with subprocess.Popen(self.command("serve"), stdout=subprocess.PIPE, text=True) as child:  # noqa: S603  # this interpreter
            try:
                assert child.stdout is not None
                line = child.stdout.readline()
                assert line.startswith(PREFIX), line
                yield child, line.removeprefix(PREFIX).strip()
            finally:
                child.kill()


def event(number: int) -> dict[str, Any]:
    resource = f"{GROUP}/d-{number}"
    return {
        "id": f"event-{number}",
        "topic": "/subscriptions/s",
        "subject": resource,
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": "2026-01-01T00:00:00Z",
        "dataVersion": "2",
        "data": {"resourceUri": resource, "operationName": "Microsoft.ContainerInstance/containerGroups/write"},
    }


async def post(client: AsyncClient, numbers: range) -> bool:
    """Whether a batch was acknowledged; a service that was killed did not."""
    try:
        answer = await client.post("/events", json=[event(number) for number in numbers])
    except TransportError:
        return False
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["accepted"]) == len(numbers)
    return True


async def verdicts(client: AsyncClient, at_least: int, within_s: float) -> None:
    """Wait until so many deployments are judged."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        found, cursor = 0, ""
        while cursor is not None:
            page = (
                await client.get("/api/v1/verdicts", params={"limit": 500, **({"cursor": cursor} if cursor else {})})
            ).json()
            found, cursor = found + len(page["verdicts"]), page["next_cursor"]
        if found >= at_least:
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"{found} of {at_least} verdicts after {within_s:.0f} s")


@pytest.mark.timeout(240)
async def test_a_thousand_events_two_kills_a_broken_scanner_and_its_mending(tmp_path: Path) -> None:
    day = Day(tmp_path)
    batches = [range(start, start + 50) for start in range(0, EVENTS, 50)]
    kills = 0
    while batches:
        with day.serving() as (child, url):
            async with HttpFactory().client(base_url=url, attempts=1) as client:
                while batches:
                    if not await post(client, batches[0]):
                        break  # sent again to the next one, as Event Grid does
                    batches.pop(0)
                    if kills < 2 and len(batches) <= 14 - 6 * kills:
                        kills += 1
                        await asyncio.sleep(0.7)
                        os.kill(child.pid, signal.SIGKILL)
                if not batches and kills == 2:
                    await verdicts(client, EVENTS, within_s=120)
    assert kills == 2

    listed = day.told("results", "--limit", "10000")["verdicts"]
    assert len({verdict["deployment"]["resource_id"] for verdict in listed}) == EVENTS
    assert {verdict["outcome"] for verdict in listed} == {"fail"}, "the rehearsal finds something in every image"
    assert day.told("dead-letters", "list")["dead_letters"] == []

    day.configure(faults={"rate": 1.0, "kinds": ["auth"]})
    broken = tmp_path / "event.json"
    broken.write_text(json.dumps(event(EVENTS)), encoding="utf-8")
    assert day.run("event", str(broken)).returncode == 11, "unknown"
    (letter,) = day.told("dead-letters", "list")["dead_letters"]
    assert letter["kind"] == "scan"
    assert letter["error_kind"] == "ScannerAuthError"
    assert "replay" in letter["remedy"]

    day.configure()
    assert day.run("dead-letters", "replay", "--all").returncode == 0
    assert day.run("worker", "--once").returncode == 0
    (mended,) = day.told("results", "--resource", f"{GROUP}/d-{EVENTS}")["verdicts"]
    assert (mended["outcome"], mended["revision"]) == ("fail", 2)
    assert day.told("dead-letters", "list")["dead_letters"] == []
