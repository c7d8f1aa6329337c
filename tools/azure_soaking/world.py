"""What the workers find on Azure's parts: a registry, Resource Manager, an identity, storage; and a configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from arm_faults import Fault
from arm_simulator import ArmSimulator
from arm_world import container_group
from managed_identity import ManagedIdentity
from oci_archive import Entry, build_image, layer_tar
from registries import Registry
from soaking.world import GROUP, World, configuration, write_events

from azure_soaking.plan import AzurePlan
from azure_soaking.storage import Storage

SUBSCRIPTION: Final = GROUP.split("/")[2]
CONNECTION: Final = "AzureWebJobsStorage"
RESULTS: Final = "SoakResults"
PLUGINS: Final = "soaking.plugin,scanguard_azure.plugin"


@dataclass(frozen=True)
class Around:
    """The servers around a world."""

    registry: Registry
    arm: ArmSimulator
    identity: ManagedIdentity
    storage: Storage


@dataclass(frozen=True)
class AzureWorld(World):
    """A folder, and what is around it."""

    around: Around

    def environment(self) -> Mapping[str, str]:
        """The environment of every process: storage is reached by the network."""
        return {
            **super().environment(),
            **self.around.identity.environment,
            "SCANGUARD_PLUGINS": PLUGINS,
            CONNECTION: self.around.storage.connection,
        }

    def settings(self) -> dict[str, str]:
        """The app settings of the function app."""
        kept = {name: self.environment()[name] for name in ("PYTHONPATH", "SCANGUARD_PLUGINS", CONNECTION)}
        config = {"SCANGUARD_CONFIG": str(self.folder / "scanguard.yaml"), "SCANGUARD_DATA_DIR": str(self.data)}
        return {**kept, **config, **self.around.identity.environment}


def make_azure_world(plan: AzurePlan, folder: Path, around: Around) -> AzureWorld:
    """Push the images, let the deployments run, write configuration and events."""
    digests = tuple(_push(around.registry, number) for number in range(plan.digests))
    world = AzureWorld(plan, folder, digests, around)
    _deploy(world, plan)
    (folder / "scanguard.yaml").write_text(yaml.safe_dump(_configuration(world)))
    write_events(world)
    return world


def _push(registry: Registry, number: int) -> str:
    layers = [layer_tar([Entry("etc/number", str(number).encode())], mtime=0)]
    image = build_image(layers, created="2024-10-10T00:00:00Z", config={})
    return registry.push(image, f"soak/image-{number}", "1")


def _deploy(world: AzureWorld, plan: AzurePlan) -> None:
    world.around.arm.world.subscriptions.add(SUBSCRIPTION)
    for number in range(plan.deployments):
        images = [f"{world.around.registry.host}/soak/image-{image}:1" for image in plan.images(number)]
        name = world.resource(number).rpartition("/")[2]
        world.around.arm.world.put(container_group(name, *images, subscription=SUBSCRIPTION, group="rg-soak"))
    each = plan.arm_fault_rate / 2
    world.around.arm.faults = [
        Fault(status=429, code="TooManyRequests", retry_after_s=1, probability=each),
        Fault(status=503, probability=each / (1 - each)),
    ]


def _configuration(world: AzureWorld) -> dict[str, Any]:
    """That of every soak, with Azure's backend, platform and sink."""
    made: dict[str, Any] = json.loads(json.dumps(configuration(world)))
    account = {"connection_string": f"env:{CONNECTION}", "connect_timeout_s": 2, "read_timeout_s": 5}
    made["backend"] = {"plugin": "azure_storage", **account}
    instances = made["instances"]
    instances["deployments"] = {"plugin": "azure", "management_url": world.around.arm.url, "inventory_every": None}
    instances["results"] = {
        "plugin": "azure_results", **account, "table": RESULTS, "recent_table": f"{RESULTS}Recent", "retention": None,
    }  # fmt: skip
    made["chains"]["default"]["sinks"].append("results")
    made["registries"] = {"insecure": [world.around.registry.host], "ca_file": str(world.around.arm.ca_file)}
    made["engine"]["attempts"] = 8
    return made
