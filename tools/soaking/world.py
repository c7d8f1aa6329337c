"""What the workers find: images, a file of deployments, a configuration, events."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scanguard.testing.images import build_image, write_oci_folder
from soaking.plan import Plan

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-soak"
FINDINGS = ({"id": "CVE-2026-0001", "severity": "CRITICAL"}, {"id": "CVE-2026-0002", "severity": "HIGH"})
"""What the scripted scanner finds in every image, so that none is ever clean."""
FAULTS = ("unavailable", "throttled", "timeout", "hang", "unreadable", "auth", "wrong_digest")
SCANNER = "scripted"
_TOOLS = Path(__file__).parent.parent


@dataclass(frozen=True)
class World:
    """A folder with all of it; ``digests`` are those of the images, by number."""

    plan: Plan
    folder: Path
    digests: tuple[str, ...]

    @property
    def data(self) -> Path:
        """The workers' data folder."""
        return self.folder / "data"

    @property
    def calls(self) -> Path:
        """The scripted scanner's journal."""
        return self.folder / "calls.jsonl"

    @property
    def notices(self) -> Path:
        """What the notifier was told."""
        return self.folder / "notices.jsonl"

    @property
    def copies(self) -> Path:
        """The sink's folder."""
        return self.folder / "results"

    def command(self, *arguments: str) -> list[str]:
        """A command line of scanguard in this world."""
        program = str(Path(sys.executable).with_name("scanguard"))
        return [program, "--data-dir", str(self.data), "--config", str(self.folder / "scanguard.yaml"), *arguments]

    def environment(self) -> Mapping[str, str]:
        """The environment of every process; the sink and the notifier of the soak are its only plugin."""
        paths = filter(None, (str(_TOOLS), os.environ.get("PYTHONPATH")))
        return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "SCANGUARD_PLUGINS": "soaking.plugin"}

    def resource(self, deployment: int) -> str:
        """A deployment's resource id."""
        return f"{GROUP}/providers/Microsoft.ContainerInstance/containerGroups/d-{deployment:05}"

    def expected(self) -> Mapping[str, tuple[str, ...]]:
        """The digests that each resource runs."""
        numbers = range(self.plan.deployments)
        return {self.resource(n): tuple(self.digests[image] for image in self.plan.images(n)) for n in numbers}

    def failing(self) -> frozenset[str]:
        """Digests whose every scan fails."""
        return frozenset(self.digests[number] for number in self.plan.failing)

    def events(self, batch: int) -> Path:
        """The file of one batch of events."""
        return self.folder / f"events-{batch}.json"


def make_world(plan: Plan, folder: Path) -> World:
    """Write everything into an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: a soak begins with nothing")
    world = World(plan, folder, tuple(_image(folder, number) for number in range(plan.digests)))
    (folder / "deployments.json").write_text(json.dumps([_deployment(world, n) for n in range(plan.deployments)]))
    (folder / "scanguard.yaml").write_text(yaml.safe_dump(configuration(world)))
    write_events(world)
    return world


def write_events(world: World) -> None:
    """A file for each batch."""
    for batch, numbers in enumerate(world.plan.order()):
        world.events(batch).write_text(json.dumps([event_of(world, number) for number in numbers]))


def _image(folder: Path, number: int) -> str:
    image = build_image([{"etc/number": str(number).encode()}])
    write_oci_folder(folder / "images" / str(number), {"": image})
    return image.digest


def _deployment(world: World, number: int) -> dict[str, Any]:
    containers = [{"name": f"c{image}", "image": f"oci:images/{image}"} for image in world.plan.images(number)]
    return {"resource_id": world.resource(number), "containers": containers}


def event_of(world: World, number: int) -> dict[str, Any]:
    """What Event Grid says of a deployment."""
    resource = world.resource(number)
    return {
        "id": f"event-{number}",
        "topic": GROUP.partition("/resourceGroups")[0],
        "subject": resource,
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": "2026-01-01T00:00:00Z",
        "data": {"resourceUri": resource, "operationName": "Microsoft.ContainerInstance/containerGroups/write"},
    }


def configuration(world: World) -> dict[str, Any]:
    """What every process of the world works by."""
    plan = world.plan
    faults = {
        "rate": plan.fault_rate,
        "kinds": list(FAULTS),
        "calls": plan.fault_calls.split(","),
        "retry_after_s": 1.0,
        "hang_s": 2.0,
    }
    scripted = {
        "plugin": "scripted",
        "latency_s": plan.latency_s,
        "poll_s": 0.5,
        "findings": list(FINDINGS),
        "faults": faults,
        "fail_images": [{"match": digest, "kind": "auth"} for digest in sorted(world.failing())],
        "seed": plan.seed,
        "journal": world.calls.name,
    }
    instances = {
        SCANNER: scripted,
        "deployments": {"plugin": "static", "file": "deployments.json"},
        "copies": {"plugin": "soak_files", "folder": world.copies.name},
        "told": {"plugin": "soak_notices", "file": world.notices.name},
    }
    chain = {
        "scanners": [SCANNER],
        "deadline": f"{plan.deadline_s}s",
        "policies": [{"plugin": "threshold", "fail": {"severity": "CRITICAL"}}],
        "sinks": ["copies"],
        "notifiers": [{"use": "told", "only": "all"}],
    }
    engine = {"backoff_s": 0.2, "max_backoff_s": 2.0, "lease_s": plan.lease_s}
    return {"version": 1, "instances": instances, "chains": {"default": chain}, "engine": engine}
