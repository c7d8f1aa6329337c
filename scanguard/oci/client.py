"""Resolve image names and open what they name."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from scanguard.http import HttpFactory
from scanguard.model.image import Platform, ResolvedImage
from scanguard.oci.auth import Clock, RegistryAuthenticator
from scanguard.oci.blobs import ImageReader
from scanguard.oci.credentials import CredentialSource
from scanguard.oci.hosts import Endpoint
from scanguard.oci.registry import ManifestCache, RegistrySource
from scanguard.oci.session import RegistrySession
from scanguard.oci.settings import RegistrySettings
from scanguard.oci.tokens import TokenClient

if TYPE_CHECKING:
    from scanguard.http import AsyncClient


class ImageClient:
    """Resolves names and opens images, from registries and from this machine. Close it with :meth:`aclose`."""

    def __init__(
        self, http: HttpFactory, credentials: CredentialSource, settings: RegistrySettings, clock: Clock
    ) -> None:
        self._http = http
        self._credentials = credentials
        self._settings = settings
        self._clock = clock
        self._manifests = ManifestCache()
        self._connected: tuple[AsyncClient, RegistryAuthenticator] | None = None

    def repository(self, registry: str, repository: str) -> RegistrySource:
        """One repository of a registry; RegistryRefusedError when the registry is not allowed."""
        endpoint = Endpoint.of(registry, self._settings)
        client, authenticator = self._connection()
        timeout_s = self._settings.timeout_s
        session = RegistrySession(client, endpoint, repository, authenticator, self._clock, timeout_s=timeout_s)
        return RegistrySource(session, self._manifests, timeout_s)

    def _connection(self) -> tuple[AsyncClient, RegistryAuthenticator]:
        """Made with the first registry: a local archive needs no HTTP."""
        if self._connected is None:
            settings = self._settings
            client = self._http.client(
                timeout_s=settings.timeout_s, ca_file=settings.ca_file, addresses=settings.addresses()
            )
            tokens = TokenClient(client, settings.timeout_s, self._clock.now)
            authenticator = RegistryAuthenticator(tokens, self._credentials, settings, self._clock)
            self._connected = (client, authenticator)
        return self._connected

    async def resolve(self, name: str, platform: Platform | None = None) -> ResolvedImage:
        """Name → manifest digest → platform manifest."""
        raise NotImplementedError

    def open(self, image: ResolvedImage) -> AbstractAsyncContextManager[ImageReader]:
        """Open a resolved image for reading."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close every connection."""
        if self._connected is not None:
            client, _ = self._connected
            self._connected = None
            await client.aclose()
