"""The plugin API: hooks that register, and the objects they register.

A hook is a plain function that yields small typed records; it does no I/O and is never ``async``. The engine
builds the objects from the configuration and awaits their methods. Plugin authors import all of this from
:mod:`scanguard`.
"""
# mypy: disable-error-code="empty-body"

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pluggy
from pydantic import BaseModel, ConfigDict, JsonValue, SecretStr

from scanguard.model.deployment import Deployment, Event
from scanguard.model.image import ResolvedImage
from scanguard.model.report import ScannerInfo, ScanReport
from scanguard.model.secret import SecretRef
from scanguard.model.verdict import ImageVerdict, MergedReport, PolicyDecision, Verdict
from scanguard.ports import Clock, Receipt

if TYPE_CHECKING:  # plugins are listed without loading an HTTP client
    from scanguard.http import HttpFactory
    from scanguard.oci.client import ImageClient
    from scanguard.oci.credentials import CredentialSource

API_VERSION = 1
"""Version of this API. A plugin module says which it was written for: ``scanguard_api_version = 1``."""

hookspec = pluggy.HookspecMarker("scanguard")
hookimpl = pluggy.HookimplMarker("scanguard")


class PluginConfig(BaseModel):
    """Base of a plugin's configuration: frozen, unknown keys refused.

    A secret field has the type :class:`~scanguard.SecretRef`; resolve it with :meth:`PluginContext.secret`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class PluginContext:
    """What the engine lends to an object it builds; nothing here is shared with another instance's state.

    Attributes:
        instance: Name of the instance in the configuration.
        http: Makes HTTP clients with time-outs, retries and redaction; close each in ``aclose``.
        images: Opens images from registries, folders and archives.
        secret: Awaits the value of a secret reference; call it when the secret is needed, not before.
        clock: The time.
        data_dir: A folder of this plugin's own, shared by its instances; it may not exist yet.
        config_dir: The folder of the configuration file, which relative paths in a config start from.
        offline: True when the user asked for no network beyond the registry that holds the image.
        log: A logger that carries the instance's name.
    """

    instance: str
    http: HttpFactory
    images: ImageClient
    secret: Callable[[SecretRef], Any]
    clock: Clock
    data_dir: Path
    config_dir: Path
    offline: bool
    log: logging.Logger


# --- scanners -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One image to scan.

    ``key`` is the same for every attempt at the same task: give it to a service that can refuse doubles, and
    look for it in :meth:`Scanner.find`. ``deadline`` is when the engine stops waiting.
    """

    key: str
    image: ResolvedImage
    deadline: datetime


@dataclass(frozen=True, slots=True)
class Ticket:
    """A scan that goes on elsewhere: ``value`` finds it again (JSON, no secret), ``not_before`` says when to ask."""

    value: Mapping[str, JsonValue]
    not_before: datetime


class Scanner(Protocol):
    """Looks at images. A scanner that answers at once returns its report from ``submit``."""

    async def submit(self, request: ScanRequest) -> ScanReport | Ticket:
        """Start a scan; return the report, or a ticket to ask with later."""

    async def poll(self, ticket: Ticket) -> ScanReport | Ticket:
        """Ask after a scan; return the report, or a ticket with a later ``not_before``."""

    async def find(self, request: ScanRequest) -> Ticket | None:
        """Look for a scan that a crashed process may have submitted; None when there is none, or no way to ask."""

    async def info(self) -> ScannerInfo:
        """Which tool, version and database this scanner uses now."""

    async def aclose(self) -> None:
        """Close clients and children."""


@dataclass(frozen=True, slots=True)
class ScannerSpec:
    """A scanner on offer.

    ``fingerprint`` gives the options that change a result (all of them, by default): scans with different
    fingerprints are different tasks. ``heavy`` says that it needs disk, CPU or many minutes of a worker.
    ``step_timeout_s`` bounds one call of ``submit`` or ``poll``; ``scan_timeout_s`` a scan from submit to report.
    """

    name: str
    config: type[PluginConfig]
    build: Callable[[Any, PluginContext], Scanner]
    description: str = ""
    fingerprint: Callable[[Any], Mapping[str, JsonValue]] | None = None
    heavy: bool = False
    step_timeout_s: float = 600.0
    scan_timeout_s: float = 1800.0


# --- sinks, notifiers -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Notice:
    """A verdict with the merged report of each image (by the name in ``ImageVerdict.merged``).

    ``key`` is the same each time this item is delivered again: use it to make a write idempotent.
    """

    key: str
    verdict: Verdict
    reports: Mapping[str, MergedReport]


class Sink(Protocol):
    """Keeps a copy of verdicts somewhere."""

    async def write(self, notice: Notice) -> Receipt:
        """Store; the same ``notice.key`` again must not store twice. Raises SinkError."""

    async def aclose(self) -> None:
        """Close clients."""


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """A sink on offer; ``timeout_s`` bounds one write."""

    name: str
    config: type[PluginConfig]
    build: Callable[[Any, PluginContext], Sink]
    description: str = ""
    timeout_s: float = 60.0


class Notifier(Protocol):
    """Tells people of a verdict."""

    async def send(self, notice: Notice) -> Receipt:
        """Deliver, or raise NotifyError (with ``retry_after_s`` when told to slow down); never drop."""

    async def aclose(self) -> None:
        """Close clients."""


@dataclass(frozen=True, slots=True)
class NotifierSpec:
    """A notifier on offer; ``timeout_s`` bounds one send."""

    name: str
    config: type[PluginConfig]
    build: Callable[[Any, PluginContext], Notifier]
    description: str = ""
    timeout_s: float = 30.0


# --- policies ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PolicyInput:
    """One image of a deployment to judge.

    ``merged`` is None when nobody looked (the image could not be resolved, or no scanner finished);
    ``image.scanners`` says why, and names a scanner that failed beside others that did not.
    """

    deployment: Deployment
    image: ImageVerdict
    merged: MergedReport | None
    now: datetime


class Policy(Protocol):
    """Judges an image; pure: the same input gives the same decision."""

    async def evaluate(self, subject: PolicyInput) -> PolicyDecision:
        """Decide, with a reason for every outcome other than pass. Raises PolicyError."""

    async def aclose(self) -> None:
        """Close whatever the policy holds."""


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """A policy on offer; ``timeout_s`` bounds one evaluation.

    ``judges_gaps`` says that it decides what gaps in coverage mean. In a chain without such a policy the engine
    does: a gap is ``unknown``.
    """

    name: str
    config: type[PluginConfig]
    build: Callable[[Any, PluginContext], Policy]
    description: str = ""
    timeout_s: float = 10.0
    judges_gaps: bool = False


# --- platforms, event sources, credentials, secrets, commands ---------------------------------------------


class DeploymentPlatform(Protocol):
    """Knows what a resource runs."""

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
    """Resolves secret references of one scheme."""

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


# --- the hooks --------------------------------------------------------------------------------------------


class Hooks:
    """The hooks a plugin may implement. Each is called once, at start, in no guaranteed order."""

    @hookspec
    def scanguard_scanners(self) -> Iterable[ScannerSpec]:
        """Offer scanners.

        Returns:
            One record per scanner; names are unique among installed scanners.

        Errors:
            An exception disables this plugin only, and ``scanguard plugins`` shows it. Two equal names stop
            the start when the configuration uses that name.

        Example:
            >>> @hookimpl
            ... def scanguard_scanners():
            ...     yield ScannerSpec(name="acme", config=AcmeConfig, build=AcmeScanner)
        """

    @hookspec
    def scanguard_sinks(self) -> Iterable[SinkSpec]:
        """Offer sinks: places that keep a copy of every verdict."""

    @hookspec
    def scanguard_notifiers(self) -> Iterable[NotifierSpec]:
        """Offer notifiers: ways to tell people."""

    @hookspec
    def scanguard_policies(self) -> Iterable[PolicySpec]:
        """Offer policies: rules that turn a merged report into a decision."""

    @hookspec
    def scanguard_platforms(self) -> Iterable[PlatformSpec]:
        """Offer platforms: places that run deployments and can describe them."""

    @hookspec
    def scanguard_event_sources(self) -> Iterable[EventSourceSpec]:
        """Offer event sources: kinds of event that are understood."""

    @hookspec
    def scanguard_registry_credentials(self) -> Iterable[RegistryCredentialSpec]:
        """Offer sources of registry credentials."""

    @hookspec
    def scanguard_secret_stores(self) -> Iterable[SecretStoreSpec]:
        """Offer secret stores: schemes of secret references."""

    @hookspec
    def scanguard_commands(self) -> Iterable[CommandSpec]:
        """Offer command groups of the CLI."""


# --- what was offered -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every record that loaded plugins offer, by kind and name; the loader makes it."""

    scanners: Mapping[str, ScannerSpec]
    sinks: Mapping[str, SinkSpec]
    notifiers: Mapping[str, NotifierSpec]
    policies: Mapping[str, PolicySpec]
    platforms: Mapping[str, PlatformSpec]
    event_sources: Mapping[str, EventSourceSpec]
    registry_credentials: Mapping[str, RegistryCredentialSpec]
    secret_stores: Mapping[str, SecretStoreSpec]
    commands: Mapping[str, CommandSpec]
