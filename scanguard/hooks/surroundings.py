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
    from scanguard.model.rate import Rate
    from scanguard.oci.credentials import CredentialSource


class DeploymentPlatform(Protocol):
    """Knows what a resource runs.

    Optional: ``async def check(self) -> None`` for ``scanguard doctor``. It raises the ScanguardError that stands in
    the way of ``describe`` within seconds, and changes nothing.
    """

    async def describe(self, resource_id: str) -> Deployment | None:
        """Read the resource now; None when it is gone.

        Raises PlatformError: PlatformThrottledError when told to slow down; PlatformForbiddenError, which names the
        role to grant, when it may not be read.
        """

    async def aclose(self) -> None:
        """Close clients."""


@dataclass(frozen=True, slots=True)
class PlatformSpec:
    """A platform on offer.

    Attributes:
        owns: Whether a resource is this platform's, from its id alone.
        knows_all: What it owns and does not know is gone. False for one that only knows what it was told.
        outline: What a resource's id alone says of it, as a deployment without containers: for one that may not be
            read (PlatformForbiddenError), so that the right chain applies to it.
        quota: Limits its requests, all workers together, unless the configuration of the instance says otherwise; each
            ``describe`` counts as ``requests_per_call``. With 0 it is neither counted nor held back.
        quota_key: Names the bucket that a resource's requests count in, where the platform has more than one, such as
            one a subscription.
    """

    name: str
    config: type[PluginConfig]
    build: Callable[[Any, PluginContext], DeploymentPlatform]
    owns: Callable[[str], bool]
    description: str = ""
    timeout_s: float = 60.0
    knows_all: bool = True
    outline: Callable[[str], Deployment] | None = None
    quota: tuple[Rate, ...] = ()
    requests_per_call: int = 1
    quota_key: Callable[[str], str] | None = None


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
    """A source of registry credentials; asked in the order of ``priority``, lowest first.

    ``config`` is what the instance of this plugin may say; there is one instance at most, and without it the defaults
    apply, so every option has one.
    """

    name: str
    build: Callable[[Any, PluginContext], CredentialSource]
    description: str = ""
    priority: int = 100
    config: type[PluginConfig] = PluginConfig


class SecretStore(Protocol):
    """Resolves secret references of one scheme.

    Optional: ``async def check(self) -> None`` for ``scanguard doctor``. It raises the SecretError that stands in the
    way of every reference (no identity, no vault) within seconds; single references are resolved anyway.
    """

    async def resolve(self, locator: str) -> SecretStr:
        """The secret behind what follows ``scheme:``. Raises SecretError without the value."""


@dataclass(frozen=True, slots=True)
class SecretStoreSpec:
    """A secret store on offer; its ``name`` is the scheme of its references, such as ``env``.

    ``config`` is what the instance of this plugin may say; there is one instance at most, and without it the defaults
    apply, so every option has one.
    """

    name: str
    build: Callable[[Any, PluginContext], SecretStore]
    description: str = ""
    config: type[PluginConfig] = PluginConfig


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A command group of the CLI, ``scanguard NAME …``; ``build`` imports and returns a ``click.Command``."""

    name: str
    build: Callable[[PluginContext], Any]
    description: str = ""
