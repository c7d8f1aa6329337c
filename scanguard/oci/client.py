"""Resolve image names and open what they name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from scanguard.errors import ImageCorruptError
from scanguard.http import HttpFactory
from scanguard.model.image import Platform, ResolvedImage
from scanguard.model.reference import ImageReference
from scanguard.oci.auth import Clock, RegistryAuthenticator
from scanguard.oci.blobs import BlobSource, ImageReader
from scanguard.oci.credentials import CredentialSource, RegistryCredential
from scanguard.oci.hosts import Endpoint
from scanguard.oci.layers import LayerReader
from scanguard.oci.local import is_local, open_local
from scanguard.oci.manifests import Manifest, parse_document
from scanguard.oci.registry import ManifestCache, RegistrySource
from scanguard.oci.resolve import resolve_platform
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
        """Find the manifest that a name means for a platform, now.

        Args:
            name: An image reference, or ``oci:DIR``, ``oci-archive:FILE``, ``docker-archive:FILE``.
            platform: What runs the image; None is the configured default of an index, a bare manifest's own.

        Raises:
            InvalidReferenceError, RegistryError.
        """
        reference = None if is_local(name) else ImageReference.parse(name)
        if reference is None:
            source, wanted = open_local(name), name
        else:
            source = self.repository(reference.registry, reference.repository)
            wanted = reference.digest or reference.tag or ""
        found = await resolve_platform(source, wanted, platform, default=self._settings.default_platform)
        return ResolvedImage(
            name=name,
            source=name if reference is None else f"{reference.name}@{found.raw.digest}",
            reference=reference,
            digest=found.raw.digest,
            index_digest=found.index_digest,
            config_digest=found.manifest.config.digest,
            platform=found.platform,
            resolved_at=self._clock.now(),
        )

    @asynccontextmanager
    async def open(self, image: ResolvedImage) -> AsyncIterator[ImageReader]:
        """Open exactly the manifest of ``image.digest``, whatever its name means by now."""
        if image.reference is None:
            source: BlobSource = open_local(image.source)
        else:
            source = self.repository(image.reference.registry, image.reference.repository)
        raw = await source.manifest(image.digest)
        manifest = parse_document(raw)
        if not isinstance(manifest, Manifest):
            raise ImageCorruptError(f"{image.source}: {image.digest} is an index, not an image", target=image.source)
        yield await LayerReader.open(source, manifest)

    async def credential(self, image: ResolvedImage) -> RegistryCredential | None:
        """Who we are to the registry that holds an image, for a program that reads it itself.

        None when nobody configured a credential, and for an image of this machine. Raises RegistryAuthError when one
        is configured and cannot be had.
        """
        if image.reference is None:
            return None
        return await self._credentials.credential(image.reference.registry)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._connected is not None:
            client, _ = self._connected
            self._connected = None
            await client.aclose()
