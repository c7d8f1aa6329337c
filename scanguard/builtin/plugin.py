"""What scanguard brings along, registered as any plugin would: every record, no logic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from scanguard.builtin.console_config import ConsoleConfig
from scanguard.builtin.events import accepts_cloudevents, accepts_eventgrid, parse_cloudevent, parse_eventgrid
from scanguard.builtin.image import ImagePlatform, ImagePlatformConfig, owns_image
from scanguard.builtin.json_files_config import JsonFilesConfig
from scanguard.builtin.scripted_config import ScriptedConfig
from scanguard.builtin.secrets import EnvironmentSecrets, FileSecrets
from scanguard.builtin.static_config import StaticConfig
from scanguard.builtin.threshold_config import ThresholdConfig
from scanguard.builtin.webhook_config import SEND_TIMEOUT_S, WebhookConfig
from scanguard.hooks import (
    DeploymentPlatform,
    EventSourceSpec,
    Notifier,
    NotifierSpec,
    PlatformSpec,
    PluginConfig,
    PluginContext,
    Policy,
    PolicySpec,
    RegistryCredentialSpec,
    Scanner,
    ScannerSpec,
    SecretStoreSpec,
    Sink,
    SinkSpec,
    hookimpl,
)

if TYPE_CHECKING:
    from scanguard.oci.credentials import CredentialSource

scanguard_api_version = 1


@hookimpl
def scanguard_scanners() -> Iterable[ScannerSpec]:
    """Rehearse without a scanner."""
    yield ScannerSpec(
        name="scripted",
        config=ScriptedConfig,
        build=_scripted,
        description="For rehearsals and tests, never for production: looks at nothing, answers and fails as written",
        fingerprint=lambda config: config.model_dump(mode="json", include={"findings", "coverage"}),
    )


@hookimpl
def scanguard_policies() -> Iterable[PolicySpec]:
    """Judge by numbers of findings."""
    yield PolicySpec(
        name="threshold",
        config=ThresholdConfig,
        build=_threshold,
        description="Fails or warns by severity, fix and number of findings",
        judges_gaps=True,
    )


@hookimpl
def scanguard_sinks() -> Iterable[SinkSpec]:
    """Keep JSON files."""
    yield SinkSpec(
        name="json_files",
        config=JsonFilesConfig,
        build=_json_files,
        description="Writes every verdict as JSON files, a folder for each image",
    )


@hookimpl
def scanguard_notifiers() -> Iterable[NotifierSpec]:
    """Tell whoever watches."""
    yield NotifierSpec(
        name="console",
        config=ConsoleConfig,
        build=_console,
        description="Writes a few lines for each verdict to standard error",
    )
    yield NotifierSpec(
        name="webhook",
        config=WebhookConfig,
        build=_webhook,
        description="Posts each verdict as a signed CloudEvent",
        timeout_s=SEND_TIMEOUT_S,
    )


@hookimpl
def scanguard_platforms() -> Iterable[PlatformSpec]:
    """Describe images named by hand, and deployments written down in a file."""
    yield PlatformSpec(
        name="image",
        config=ImagePlatformConfig,
        build=ImagePlatform,
        owns=owns_image,
        description="Images named by hand",
        requests_per_call=0,
    )
    yield PlatformSpec(
        name="static",
        config=StaticConfig,
        build=_static,
        owns=lambda _: True,
        description="Deployments described in a file",
        knows_all=False,
        requests_per_call=0,
    )


@hookimpl
def scanguard_event_sources() -> Iterable[EventSourceSpec]:
    """Understand what Azure says of deployments."""
    yield EventSourceSpec(
        name="eventgrid",
        accepts=accepts_eventgrid,
        parse=parse_eventgrid,
        description="Azure resource writes and deletions, in the Event Grid schema",
    )
    yield EventSourceSpec(
        name="cloudevents",
        accepts=accepts_cloudevents,
        parse=parse_cloudevent,
        description="Azure resource writes and deletions, as CloudEvents 1.0",
    )


@hookimpl
def scanguard_secret_stores() -> Iterable[SecretStoreSpec]:
    """Resolve secrets from the environment and from files."""
    yield SecretStoreSpec(name="env", build=lambda _, __: EnvironmentSecrets(), description="Environment variables")
    yield SecretStoreSpec(name="file", build=lambda _, __: FileSecrets(), description="Files")


@hookimpl
def scanguard_registry_credentials() -> Iterable[RegistryCredentialSpec]:
    """Use what docker and podman are logged in with."""
    yield RegistryCredentialSpec(
        name="docker_config", build=_docker_config, description="Logins of docker and podman, and their helpers"
    )


def _console(config: ConsoleConfig, context: PluginContext) -> Notifier:
    from scanguard.builtin.console import ConsoleNotifier  # noqa: PLC0415  # only when a verdict is told

    return ConsoleNotifier(config, context)


def _json_files(config: JsonFilesConfig, context: PluginContext) -> Sink:
    from scanguard.builtin.json_files import JsonFilesSink  # noqa: PLC0415  # only when a verdict is kept

    return JsonFilesSink(config, context)


def _threshold(config: ThresholdConfig, context: PluginContext) -> Policy:
    from scanguard.builtin.threshold import ThresholdPolicy  # noqa: PLC0415  # only when something is judged

    return ThresholdPolicy(config, context)


def _static(config: StaticConfig, context: PluginContext) -> DeploymentPlatform:
    from scanguard.builtin.static import StaticPlatform  # noqa: PLC0415  # only when a deployment is looked up

    return StaticPlatform(config, context)


def _scripted(config: ScriptedConfig, context: PluginContext) -> Scanner:
    from scanguard.builtin.scripted import ScriptedScanner  # noqa: PLC0415  # only in a rehearsal

    return ScriptedScanner(config, context)


def _docker_config(config: PluginConfig, context: PluginContext) -> CredentialSource:
    from scanguard.oci.docker_config import DockerConfigCredentials  # noqa: PLC0415  # only when an image is fetched

    return DockerConfigCredentials()


def _webhook(config: WebhookConfig, context: PluginContext) -> Notifier:
    from scanguard.builtin.webhook import WebhookNotifier  # noqa: PLC0415  # only when a notice is sent

    return WebhookNotifier(config, context)
