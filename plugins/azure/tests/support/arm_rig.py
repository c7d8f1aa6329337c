"""A simulated Azure, and what asks it, for the tests of platform and inventory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from arm_simulator import ArmSimulator
from arm_world import SUBSCRIPTION, World
from managed_identity import ManagedIdentity
from scanguard_azure.arm.config import AzureConfig
from scanguard_azure.arm.inventory import AzureInventory
from scanguard_azure.arm.platform import AzurePlatform

from scanguard.hooks import PluginContext
from scanguard.http import HttpFactory
from scanguard.testing.contexts import make_context
from scanguard.testing.memory import ManualClock
from scanguard.testing.samples import NOW


@dataclass
class Rig:
    """One simulated cloud, with the real credential pointed at a simulated identity."""

    arm: ArmSimulator
    identity: ManagedIdentity
    folder: Path
    clock: ManualClock
    stack: AsyncExitStack

    @property
    def world(self) -> World:
        """What there is."""
        return self.arm.world

    @property
    def context(self) -> PluginContext:
        """What the engine lends."""
        return make_context(
            self.folder, instance="azure-test", clock=self.clock, http=HttpFactory(ca_file=self.arm.ca_file)
        )

    def config(self, **options: Any) -> AzureConfig:
        """Options that lead here."""
        given = {"subscriptions": [SUBSCRIPTION], "management_url": self.arm.url, **options}
        return AzureConfig.model_validate(given)

    def platform(self, **options: Any) -> AzurePlatform:
        """A platform that asks it; closed at the end."""
        platform = AzurePlatform(self.config(**options), self.context)
        self.stack.push_async_callback(platform.aclose)
        return platform

    def inventory(self, **options: Any) -> AzureInventory:
        """An inventory of it; closed at the end."""
        inventory = AzureInventory(self.config(**options), self.context)
        self.stack.push_async_callback(inventory.aclose)
        return inventory


def isolated_identity(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    """Azure's library finds this managed identity, and none that the machine may have."""
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@asynccontextmanager
async def azure_rig(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """A rig that lasts as long as the block."""
    async with AsyncExitStack() as stack:
        identity = await stack.enter_async_context(ManagedIdentity())
        isolated_identity(monkeypatch, identity.environment)
        arm = await stack.enter_async_context(ArmSimulator())
        yield Rig(arm, identity, folder, ManualClock(NOW), await stack.enter_async_context(AsyncExitStack()))
