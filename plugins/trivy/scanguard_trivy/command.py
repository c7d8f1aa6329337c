"""What Trivy is asked: arguments, environment and input for each run. Pure.

Flags and variables as in https://trivy.dev/latest/docs/references/configuration/cli/trivy_image/, tried with v0.69.3.
Secrets never stand in arguments. Nothing of our own environment is handed on, not even ``PATH``: no docker credential
helper, cloud login or ``TRIVY_…`` variable of ours takes part. The folder it runs in is empty, so that no
``trivy.yaml``, ``.trivyignore`` or ``trivy-secret.yaml`` does either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from scanguard.errors import ScannerAuthError
from scanguard.model.image import Platform
from scanguard.oci.credentials import RegistryCredential
from scanguard_trivy.config import Look, TrivyConfig

ACR_TOKEN_USER: Final = "00000000-0000-0000-0000-000000000000"  # noqa: S105  # a user's name, and public
"""Who presents a refresh token as a password to Azure's registry.

https://learn.microsoft.com/azure/container-registry/container-registry-authentication
"""
_ACR: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.azurecr\.(io|cn|us)")
_SPLIT: Final = re.compile(r"[\s,]")
"""Where Trivy cuts the values of ``TRIVY_USERNAME`` and ``TRIVY_PASSWORD`` (``pkg/flag/options.go``)."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who Trivy is to a registry: by environment, and the password by input where the environment cannot carry it."""

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    stdin: bytes | None = field(default=None, repr=False)
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Folders:
    """Where one run keeps things: ``work`` it runs in, ``temp`` takes layers, ``cache`` is its own while it runs."""

    work: Path
    temp: Path
    cache: Path
    report: Path


@dataclass(frozen=True, slots=True)
class Target:
    """What Trivy is pointed at: an image in a registry by its digest, or an OCI layout folder that holds one image."""

    platform: Platform
    reference: str = ""
    layout: Path | None = None


def login_for(registry: str, credential: RegistryCredential | None) -> Login:
    """Hand on a credential.

    Raises:
        ScannerAuthError: An identity token for another registry than Azure's. Trivy's own ``TRIVY_REGISTRY_TOKEN`` is a
            bearer token for one repository, which an identity token is not.
    """
    if credential is None:
        return Login()
    if credential.identity_token is not None:
        if not _ACR.fullmatch(registry):
            raise ScannerAuthError(
                f"Trivy takes a user and a password, and the credential for {registry} is an identity token; "
                "configure a password or a token that is used as one",
                plugin="trivy",
                target=registry,
            )
        return _password_login(ACR_TOKEN_USER, credential.identity_token, registry)
    if credential.password is None:
        return Login()
    return _password_login(credential.username, credential.password, registry)


def _password_login(user: str, password: SecretStr, registry: str) -> Login:
    if not user or _SPLIT.search(user):
        raise ScannerAuthError(
            f"the user name for {registry} is empty, or has a comma or a space, which Trivy cannot take",
            plugin="trivy",
            target=registry,
        )
    secret = password.get_secret_value()
    if _SPLIT.search(secret):
        return Login({"TRIVY_USERNAME": user}, f"{secret}\n".encode(), ("--password-stdin",))
    return Login({"TRIVY_USERNAME": user, "TRIVY_PASSWORD": secret})


def environment(
    config: TrivyConfig, folders: Folders, *, ca_file: Path | None, proxy: SecretStr | None
) -> dict[str, str]:
    """The whole environment of every run."""
    env = {
        "HOME": str(folders.work),
        "DOCKER_CONFIG": str(folders.work),
        "TMPDIR": str(folders.temp),
        "TRIVY_CACHE_DIR": str(folders.cache),
        "TRIVY_DISABLE_TELEMETRY": "true",
        "TRIVY_SKIP_VERSION_CHECK": "true",
        "TRIVY_NO_PROGRESS": "true",
    }
    if ca_file is not None:
        env["SSL_CERT_FILE"] = str(ca_file)
    if proxy is not None:
        env |= {"HTTP_PROXY": proxy.get_secret_value(), "HTTPS_PROXY": proxy.get_secret_value()}
    if config.no_proxy:
        env["NO_PROXY"] = config.no_proxy
    return env


def version_arguments() -> tuple[str, ...]:
    """Ask which version it is, and which databases the cache holds."""
    return ("version", "--format", "json")


def download_arguments(
    config: TrivyConfig, repository: str, login: Login, *, java: bool, timeout_s: float
) -> tuple[str, ...]:
    """Download one database, apart from any scan: so an image's credential is never shown to a database's registry."""
    which = "java-" if java else ""
    return (
        "image",
        f"--download-{which}db-only",
        f"--{which}db-repository={repository}",
        f"--timeout={_duration(timeout_s)}",
        *(("--insecure",) if config.insecure else ()),
        *login.arguments,
    )


def scan_arguments(
    config: TrivyConfig, target: Target, folders: Folders, login: Login, *, timeout_s: float
) -> tuple[str, ...]:
    """Scan an image."""
    return (
        "image",
        "--format=json",
        f"--output={folders.report}",
        f"--scanners={_listed(config.scanners)}",
        *_image_config_arguments(config),
        f"--pkg-types={_listed(config.pkg_types)}",
        f"--detection-priority={config.detection_priority}",
        "--list-all-pkgs=true",
        f"--platform={target.platform}",
        f"--parallel={config.parallel}",
        f"--timeout={_duration(timeout_s)}",
        "--skip-db-update",
        "--skip-java-db-update",
        "--skip-check-update",
        *_switches(config),
        *_server_arguments(config),
        *login.arguments,
        *_target_arguments(target),
    )


def server_environment(token: SecretStr | None) -> dict[str, str]:
    """The server's token."""
    return {"TRIVY_TOKEN": token.get_secret_value()} if token is not None else {}


def _target_arguments(target: Target) -> tuple[str, ...]:
    if target.layout is not None:
        return (f"--input={target.layout}",)
    return ("--image-src=remote", "--", target.reference)


def _image_config_arguments(config: TrivyConfig) -> tuple[str, ...]:
    """The image's own configuration (its user, its environment) is looked at with the same scanners as its files."""
    own = config.scanners & {Look.MISCONFIGURATIONS, Look.SECRETS}
    return (f"--image-config-scanners={_listed(own)}",) if own else ()


def _switches(config: TrivyConfig) -> tuple[str, ...]:
    switches = {
        "--ignore-unfixed": config.ignore_unfixed,
        "--offline-scan": config.offline_scan,
        "--insecure": config.insecure,
        f"--max-image-size={config.max_image_bytes}B": config.max_image_bytes is not None,
    }
    return tuple(switch for switch, is_on in switches.items() if is_on)


def _server_arguments(config: TrivyConfig) -> tuple[str, ...]:
    if config.server is None:
        return (f"--cache-backend={'fs' if config.keep_layers else 'memory'}",)
    return (f"--server={config.server}", f"--token-header={config.server_token_header}")


def _listed(names: frozenset[str]) -> str:
    return ",".join(sorted(str(name) for name in names))


def _duration(seconds: float) -> str:
    return f"{max(1, int(seconds))}s"
