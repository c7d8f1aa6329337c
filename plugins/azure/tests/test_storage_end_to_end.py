"""The installed command on a real Azurite: events in, two workers, verdicts out, and nothing kept on the machines."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azurite import Azurite, azurite

from scanguard.testing.images import build_image, write_oci_folder

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-shop"
GROUPS = f"{GROUP}/providers/Microsoft.ContainerInstance/containerGroups"
DEPLOYMENTS = 6
CONFIG = """\
version: 1
backend:
  plugin: azure_storage
  connection_string: env:STORAGE_OF_SCANGUARD
  table_prefix: NAMES
  queue_prefix: names-
  container: names
instances:
  looks: {plugin: scripted, latency_s: 0.5, findings: [{id: CVE-2026-1, severity: CRITICAL, package: a@1}]}
  group: {plugin: static, file: deployments.json}
engine: {lease_s: 5, backoff_s: 1}
chains:
  default:
    scanners: [looks]
    policies: [{plugin: threshold, fail: {severity: CRITICAL}}]
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azurite")) as where:
        yield where


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration, and deployments that run one image of two tags."""
    tags = {tag: build_image([{"etc/motd": tag.encode()}]) for tag in ("1", "2")}
    write_oci_folder(tmp_path / "image", tags)
    deployments = [
        {
            "resource_id": f"{GROUPS}/app{n}",
            "kind": "container_group",
            "name": f"app{n}",
            "containers": [{"name": "main", "image": f"oci:{tmp_path / 'image'}:{n % 2 + 1}"}],
        }
        for n in range(DEPLOYMENTS)
    ]
    (tmp_path / "deployments.json").write_text(json.dumps({"deployments": deployments}), encoding="utf-8")
    events = [
        {
            "id": f"event-{n}",
            "topic": GROUP.partition("/resourceGroups")[0],
            "subject": f"{GROUPS}/app{n}",
            "eventType": "Microsoft.Resources.ResourceWriteSuccess",
            "eventTime": "2026-01-01T00:00:00Z",
            "data": {
                "resourceUri": f"{GROUPS}/app{n}",
                "operationName": "Microsoft.ContainerInstance/containerGroups/write",
                "status": "Succeeded",
            },
            "dataVersion": "2",
        }
        for n in range(DEPLOYMENTS)
    ]
    (tmp_path / "events.json").write_text(json.dumps(events), encoding="utf-8")
    own = f"t{uuid.uuid4().hex[:10]}"
    (tmp_path / "scanguard.yaml").write_text(CONFIG.replace("NAMES", own).replace("names", own), encoding="utf-8")
    return tmp_path


class Command:
    """Runs the installed command as one machine would: with a data folder of its own."""

    def __init__(self, folder: Path, emulator: Azurite) -> None:
        self._folder = folder
        self._environ = {**os.environ, "STORAGE_OF_SCANGUARD": emulator.connection_string}

    async def start(self, machine: str, *arguments: str) -> asyncio.subprocess.Process:
        """Start it, and go on."""
        program = str(Path(sys.executable).with_name("scanguard"))
        where = ["--config", str(self._folder / "scanguard.yaml"), "--data-dir", str(self._folder / machine)]
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            program, *where, *arguments, env=self._environ, stdout=pipe, stderr=pipe
        )

    async def __call__(self, machine: str, *arguments: str) -> tuple[int, str, str]:
        """Run it to its end."""
        child = await self.start(machine, *arguments)
        out, err = await child.communicate()
        assert child.returncode is not None
        return child.returncode, out.decode(), err.decode()


async def test_two_workers_on_two_machines_judge_what_a_third_accepted(folder: Path, emulator: Azurite) -> None:
    run = Command(folder, emulator)
    code, out, err = await run("front", "event", "--no-wait", str(folder / "events.json"))
    assert code == 0, err
    ids = out.split()
    assert len(ids) == DEPLOYMENTS, err

    workers = await asyncio.gather(run("one", "worker", "--once"), run("two", "worker", "--once"))
    assert [worker[0] for worker in workers] == [0, 0], workers

    code, out, err = await run("desk", "results", "--format", "json")
    assert code == 0, err
    verdicts: list[dict[str, Any]] = json.loads(out)["verdicts"]
    assert {verdict["id"] for verdict in verdicts} == set(ids)
    assert {verdict["outcome"] for verdict in verdicts} == {"fail"}
    assert {verdict["deployment"]["name"] for verdict in verdicts} == {f"app{n}" for n in range(DEPLOYMENTS)}

    code, out, err = await run("desk", "explain", ids[0])
    assert code == 0, err
    assert "CVE-2026-1" in out
    code, out, err = await run("desk", "results", "--vulnerability", "CVE-2026-1", "--format", "json")
    assert len(json.loads(out)["verdicts"]) == DEPLOYMENTS, err

    code, out, _ = await run("desk", "doctor", "--only", "queue", "--only", "data", "--format", "json")
    checks = {check["subject"]: check for check in json.loads(out)["checks"]}
    assert checks["backend"]["status"] == "ok", checks
    assert checks["lane fresh"]["detail"] == "empty", checks
    assert not any("scanguard.db" in files for _, _, files in os.walk(folder)), "nothing is kept on the machines"


async def test_workers_that_are_killed_lose_nothing(folder: Path, emulator: Azurite) -> None:
    run = Command(folder, emulator)
    code, out, err = await run("front", "event", "--no-wait", str(folder / "events.json"))
    assert code == 0, err
    for seconds in (3.0, 4.0, 5.0):
        workers = [await run.start(machine, "worker") for machine in ("one", "two")]
        await asyncio.sleep(seconds)
        for worker in workers:
            worker.kill()
        await asyncio.gather(*(worker.communicate() for worker in workers))
    code, _, err = await run("three", "worker", "--once")
    assert code == 0, err
    code, listed, err = await run("desk", "results", "--format", "json")
    assert code == 0, err
    mine = [verdict for verdict in json.loads(listed)["verdicts"] if verdict["id"] in out.split()]
    assert {verdict["id"] for verdict in mine} == set(out.split())
    assert {verdict["outcome"] for verdict in mine} == {"fail"}
