"""The one name of each registry."""

from __future__ import annotations

from typing import Final

DOCKER_HUB: Final = "docker.io"
_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


def canonical_registry(host: str) -> str:
    """The one name of a registry: lower case, and ``docker.io`` for every name of Docker Hub."""
    host = host.lower()
    return DOCKER_HUB if host in _HUB_NAMES else host
