"""Names of registries, and the servers behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from scanguard.oci.names import DOCKER_HUB, canonical_registry
from scanguard.oci.settings import RegistrySettings

_HUB_API: Final = "registry-1.docker.io"

REALMS: Final = {
    # https://docs.docker.com/reference/api/registry/auth/
    DOCKER_HUB: "auth.docker.io",
    # https://docs.gitlab.com/administration/packages/container_registry/
    "registry.gitlab.com": "gitlab.com",
}
"""Token servers of public registries that are another host than the registry."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a registry's API answers.

    Attributes:
        registry: Canonical name, which credentials are kept under.
        base: ``scheme://host[:port]`` of the API.
        is_insecure: True when plain http is spoken.
        realm: The only other host[:port] that may be given this registry's credentials, if there is one.
    """

    registry: str
    base: str
    is_insecure: bool
    realm: str | None

    @classmethod
    def of(cls, registry: str, settings: RegistrySettings) -> Endpoint:
        """Find the endpoint of a registry by its name; RegistryRefusedError when it is not allowed."""
        registry = canonical_registry(registry)
        settings.check_allowed(registry)
        insecure = settings.is_insecure(registry)
        host = _HUB_API if registry == DOCKER_HUB else registry
        realm = settings.realms.get(registry) or REALMS.get(registry)
        return cls(registry, f"{'http' if insecure else 'https'}://{host}", insecure, realm)

    @property
    def host(self) -> str:
        """Host[:port] of the API."""
        return self.base.partition("://")[2]


def origin_of(url: str) -> str:
    """``scheme://host[:port]`` in lower case, a default port left out. ValueError on a URL that has none."""
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise ValueError("not an http or https URL with a host")
    port = parts.port  # raises ValueError when it is none
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{_bracketed(parts)}{f':{port}' if port not in (None, default) else ''}"


def host_of(url: str) -> str:
    """The host of a URL, lower case, without port."""
    return _bracketed(urlsplit(url))


def _bracketed(parts: SplitResult) -> str:
    host = (parts.hostname or "").lower()
    return f"[{host}]" if ":" in host else host
