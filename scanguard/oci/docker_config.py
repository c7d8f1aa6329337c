"""Credentials that ``docker login`` and ``podman login`` left on this machine.

Sources: https://docs.docker.com/reference/cli/docker/ (configuration files),
https://github.com/docker/docker-credential-helpers#development (protocol of helpers),
https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md (podman).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from scanguard.errors import ProcessError, RegistryAuthError
from scanguard.oci.credentials import RegistryCredential
from scanguard.oci.names import DOCKER_HUB, canonical_registry
from scanguard.process import minimal_environment, run_process

MAX_CONFIG_BYTES: Final = 4 << 20
HELPER_TIMEOUT_S: Final = 15.0
HELPER_MAX_OUTPUT_BYTES: Final = 1 << 20
_HUB_KEY: Final = "https://index.docker.io/v1/"
_HELPER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(r"(?:https?://)?([^/\s]+)(?:/|/v1/?|/v2/?)?", re.IGNORECASE)
_HELPER_ENVIRONMENT: Final = (
    # what helpers of desktop keyrings, pass, and cloud providers find their own stores by
    "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "GNUPGHOME", "GPG_TTY", "PASSWORD_STORE_DIR", "XDG_CONFIG_HOME",
    "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "DOCKER_CONFIG", "AWS_PROFILE", "AWS_REGION", "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE", "AZURE_CONFIG_DIR", "CLOUDSDK_CONFIG", "GOOGLE_APPLICATION_CREDENTIALS",
)  # fmt: skip


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    auth: SecretStr | None = None
    username: str = ""
    password: SecretStr | None = None
    identitytoken: SecretStr | None = None


class _Config(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    auths: dict[str, _Entry] = {}
    helpers: dict[str, str] = Field(default={}, alias="credHelpers")
    store: str = Field(default="", alias="credsStore")


class _HelperAnswer(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    username: str = Field(default="", alias="Username")
    secret: SecretStr = Field(alias="Secret")


class DockerConfigCredentials:
    """Reads the files docker and podman keep credentials in, and asks their credential helpers.

    Files, the first that knows the registry decides: ``$REGISTRY_AUTH_FILE``,
    ``$XDG_RUNTIME_DIR/containers/auth.json``, ``$DOCKER_CONFIG/config.json`` or ``~/.docker/config.json``.
    A registry is matched by its whole name; podman's keys for single repositories are not used. In a file,
    ``credHelpers`` comes before ``credsStore``, and that before ``auths``.

    Args:
        environ: The environment to find files, and helpers' own settings, by.
        paths: Files to read instead.
    """

    def __init__(self, environ: Mapping[str, str] | None = None, paths: tuple[Path, ...] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._paths = tuple(_default_paths(self._environ)) if paths is None else paths

    async def credential(self, registry: str) -> RegistryCredential | None:
        """The credential for a registry, or None; RegistryAuthError names a file or helper that is broken."""
        registry = canonical_registry(registry)
        for path in self._paths:
            config = _load(path)
            if config is None:
                continue
            found = await self._ask_helper(config, registry, path) or _from_auths(config, registry, path)
            if found is not None:
                return found
        return None

    async def _ask_helper(self, config: _Config, registry: str, path: Path) -> RegistryCredential | None:
        named = (name for key, name in config.helpers.items() if _registry_of(key) == registry)
        name = next(named, config.store)
        if not name:
            return None
        if _HELPER_NAME.fullmatch(name) is None:
            raise RegistryAuthError(f"{path} names a credential helper that is no plain name", target=str(path))
        program = f"docker-credential-{name}"
        own = {key: self._environ[key] for key in (*_HELPER_ENVIRONMENT, "PATH", "HOME") if key in self._environ}
        server = _HUB_KEY if registry == DOCKER_HUB else registry
        try:
            ended = await run_process(
                [program, "get"],
                stdin=server.encode(),
                env=minimal_environment(**own),
                timeout_s=HELPER_TIMEOUT_S,
                max_output_bytes=HELPER_MAX_OUTPUT_BYTES,
            )
        except ProcessError as exc:
            raise RegistryAuthError(
                f"the credential helper that {path} names failed: {exc.message}; install it, or remove its entry",
                target=registry,
            ) from exc
        if ended.returncode != 0:
            if b"credentials not found" in ended.stdout:
                return None
            raise RegistryAuthError(
                f"{program}, named in {path}, ended with status {ended.returncode} when asked for {registry}",
                target=registry,
            )
        return _from_helper(ended.stdout, program, registry)


def _default_paths(environ: Mapping[str, str]) -> Iterator[Path]:
    if given := environ.get("REGISTRY_AUTH_FILE"):
        yield Path(given)
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json"
    if folder := environ.get("DOCKER_CONFIG"):
        yield Path(folder) / "config.json"
    elif home := environ.get("HOME") or environ.get("USERPROFILE"):
        yield Path(home) / ".docker" / "config.json"


def _load(path: Path) -> _Config | None:
    """Read a file; None when there is none. Its content is never part of an error."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CONFIG_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise RegistryAuthError(f"{path} cannot be read: {exc.strerror}", target=str(path)) from exc
    if len(text) > MAX_CONFIG_BYTES:
        raise RegistryAuthError(f"{path} is larger than {MAX_CONFIG_BYTES} bytes", target=str(path))
    try:
        return _Config.model_validate(json.loads(text or b"{}"))
    except ValidationError as exc:
        keys = "; ".join(".".join(map(str, error["loc"][:1])) or "top level" for error in exc.errors()[:3])
        raise RegistryAuthError(f"{path} is no docker configuration (wrong: {keys})", target=str(path)) from None
    except (ValueError, RecursionError):
        raise RegistryAuthError(f"{path} is not readable as JSON", target=str(path)) from None


def _registry_of(key: str) -> str | None:
    """The registry a key of the file means; None for one repository of it, or nothing known."""
    found = _KEY.fullmatch(key)
    return canonical_registry(found.group(1)) if found else None


def _from_auths(config: _Config, registry: str, path: Path) -> RegistryCredential | None:
    entry = next((entry for key, entry in config.auths.items() if _registry_of(key) == registry), None)
    if entry is None:
        return None
    username, password = entry.username, entry.password.get_secret_value() if entry.password else ""
    if entry.auth and entry.auth.get_secret_value():
        username, password = _decode(entry.auth.get_secret_value(), registry, path)
    if entry.identitytoken and entry.identitytoken.get_secret_value():
        return RegistryCredential(username, identity_token=entry.identitytoken)
    if not username and not password:
        return None  # docker leaves empty entries behind for registries whose credentials a helper keeps
    return RegistryCredential(username, SecretStr(password))


def _decode(auth: str, registry: str, path: Path) -> tuple[str, str]:
    """Split base64 of ``user:password``; the password may hold colons, the user may not."""
    try:
        username, colon, password = base64.b64decode(auth, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        colon = ""
    if not colon:
        raise RegistryAuthError(f"{path}: the entry of {registry} holds no base64 of user:password", target=str(path))
    return username, password.rstrip("\0")


def _from_helper(output: bytes, program: str, registry: str) -> RegistryCredential:
    try:
        answer = _HelperAnswer.model_validate_json(output)
    except ValueError:
        raise RegistryAuthError(f"{program} answered something unreadable for {registry}", target=registry) from None
    if answer.username == "<token>":  # the protocol's mark of an identity token
        return RegistryCredential(identity_token=answer.secret)
    return RegistryCredential(answer.username, answer.secret)
