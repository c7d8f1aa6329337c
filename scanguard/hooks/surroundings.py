"""What else a plugin may offer: platforms, event sources, registry credentials, secret stores, commands."""
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import JsonValue, SecretStr

from scanguard.hooks.context import PluginConfig, PluginContext

if TYPE_CHECKING:  # plugins are listed without loading an HTTP client
    from scanguard.model.deployment import Deployment, Event
    from scanguard.oci.credentials import CredentialSource


class DeploymentPlatform(Protocol):
    """Knows what a resource runs.

    Optional: ``async def check(self) -> None`` for ``scanguard doctor``. It raises the ScanguardError that stands in
    the way of ``describe`` within seconds, and changes nothing.
    """

    async def describe(self, resource_id: str) -> Deployment | None:
        """Read the resource now; None when it is gone. Raises PlatformError."""

    async def aclose(self) -> None:
        """Close clients."""


@dataclass(frozen=True, slots=True)
class PlatformSpec:
    """A platform on offer; ``owns`` says, from its id alone, whether a resource is this platform's."""

    name: str
    config: type[PluginConfig]
    build: Callable[[Any, PluginContext], DeploymentPlatform]
    owns: Callable[[str], bool]
    description: str = ""
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class EventSourceSpec:
    """Understands one kind of event.

    ``parse`` gets one decoded JSON object and returns the trimmed event, None when the object is of this kind
    but says nothing of a deployment, and raises EventError when it is broken; ``accepts`` says, without
    looking deep, whether an object is of this kind.
    """

    name: str
    accepts: Callable[[Mapping[str, JsonValue]], bool]
    parse: Callable[[Mapping[str, JsonValue]], Event | None]
    description: str = ""


@dataclass(frozen=True, slots=True)
class RegistryCredentialSpec:
    """A source of registry credentials; asked in the order of ``priority``, lowest first."""

    name: str
    build: Callable[[PluginContext], CredentialSource]
    description: str = ""
    priority: int = 100


class SecretStore(Protocol):
    """Resolves secret references of one scheme.

    Optional: ``async def check(self) -> None`` for ``scanguard doctor``. It raises the SecretError that stands in the
    way of every reference (no identity, no vault) within seconds; single references are resolved anyway.
    """

    async def resolve(self, locator: str) -> SecretStr:
        """The secret behind what follows ``scheme:``. Raises SecretError without the value."""


@dataclass(frozen=True, slots=True)
class SecretStoreSpec:
    """A secret store on offer; its ``name`` is the scheme of its references, such as ``env``."""

    name: str
    build: Callable[[], SecretStore]
    description: str = ""


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A command group of the CLI, ``scanguard NAME …``; ``build`` imports and returns a ``click.Command``."""

    name: str
    build: Callable[[PluginContext], Any]
    description: str = ""
