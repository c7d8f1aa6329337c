"""The registry client against real registries: what was pushed comes back, and only to whom it may."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from oci_archive import Image
from pydantic import SecretStr
from registries import PASSWORD, USER, Registry

from scanguard.errors import ImageNotFoundError, RegistryAuthError, RegistryRefusedError
from scanguard.http import HttpFactory
from scanguard.oci.blobs import Descriptor
from scanguard.oci.client import ImageClient
from scanguard.oci.credentials import RegistryCredential
from scanguard.oci.settings import RegistrySettings
from scanguard.ports import SystemClock

RIGHT = RegistryCredential(username=USER, password=SecretStr(PASSWORD))
WRONG = RegistryCredential(username=USER, password=SecretStr("wrong"))


class OneCredential:
    """Knows one registry."""

    def __init__(self, host: str, credential: RegistryCredential | None) -> None:
        self._host = host
        self._credential = credential

    async def credential(self, registry: str) -> RegistryCredential | None:
        return self._credential if registry == self._host else None


@asynccontextmanager
async def client_of(registry: Registry, credential: RegistryCredential | None = None) -> AsyncIterator[ImageClient]:
    """A client that may talk to a registry on loopback, and to its token server."""
    hosts = [registry.host]
    realms = {}
    if registry.tokens is not None:
        realm = urlsplit(registry.tokens.realm).netloc
        hosts.append(realm)
        realms[registry.host] = realm
    settings = RegistrySettings(insecure=tuple(hosts), realms=realms)
    client = ImageClient(HttpFactory(), OneCredential(registry.host, credential), settings, SystemClock())
    try:
        yield client
    finally:
        await client.aclose()


async def read_back(registry: Registry, credential: RegistryCredential | None, repository: str) -> str:
    """Read the manifest by tag and every blob it names; the digest, after checking the bytes of each."""
    async with client_of(registry, credential) as client:
        source = client.repository(registry.host, repository)
        manifest = await source.manifest("1")
        parsed = json.loads(manifest.data)
        for entry in (parsed["config"], *parsed["layers"]):
            wanted = Descriptor(media_type=entry["mediaType"], digest=entry["digest"], size=entry["size"])
            hashed = hashlib.sha256()
            async for chunk in source.blob(wanted):
                hashed.update(chunk)
            assert f"sha256:{hashed.hexdigest()}" == wanted.digest
    return manifest.digest


async def test_an_open_registry_is_read_by_tag(docker_registry: Registry, small_image: Image) -> None:
    docker_registry.push(small_image, "source/small", "1")

    assert await read_back(docker_registry, None, "source/small") == small_image.digest


async def test_a_registry_with_passwords_is_read_with_the_right_one(
    basic_registry: Registry, small_image: Image
) -> None:
    basic_registry.push(small_image, "source/small", "1")

    assert await read_back(basic_registry, RIGHT, "source/small") == small_image.digest


async def test_a_registry_with_tokens_is_read_through_its_token_server(
    token_registry: Registry, small_image: Image
) -> None:
    assert token_registry.tokens is not None
    token_registry.push(small_image, "source/small", "1")
    before = len(token_registry.tokens.asked)

    digest = await read_back(token_registry, RIGHT, "source/small")

    asked = token_registry.tokens.asked[before:]
    assert digest == small_image.digest
    assert [(one.user, one.scope, one.status) for one in asked] == [(USER, "repository:source/small:pull", 200)]


async def test_an_identity_token_is_exchanged_for_a_bearer_token(token_registry: Registry, small_image: Image) -> None:
    assert token_registry.tokens is not None
    token_registry.push(small_image, "source/small", "1")
    credential = RegistryCredential(identity_token=SecretStr(token_registry.tokens.refresh_token))

    assert await read_back(token_registry, credential, "source/small") == small_image.digest
    assert token_registry.tokens.asked[-1].method == "POST"


async def test_what_is_public_in_a_registry_with_tokens_needs_no_credential(
    token_registry: Registry, small_image: Image
) -> None:
    token_registry.push(small_image, "public/small", "1")

    assert await read_back(token_registry, None, "public/small") == small_image.digest


@pytest.mark.parametrize(
    "kind", [pytest.param("basic_registry", id="basic"), pytest.param("token_registry", id="token")]
)
@pytest.mark.parametrize("credential", [pytest.param(None, id="none"), pytest.param(WRONG, id="wrong password")])
async def test_a_wrong_credential_is_refused_and_not_shown(
    request: pytest.FixtureRequest, small_image: Image, kind: str, credential: RegistryCredential | None
) -> None:
    registry: Registry = request.getfixturevalue(kind)
    registry.push(small_image, "source/small", "1")

    with pytest.raises(RegistryAuthError) as refused:
        await read_back(registry, credential, "source/small")

    assert registry.host in str(refused.value)
    assert "wrong" not in str(refused.value)


async def test_a_tag_that_is_not_there_is_said_to_be_missing(docker_registry: Registry, small_image: Image) -> None:
    docker_registry.push(small_image, "source/small", "1")

    async with client_of(docker_registry) as client:
        with pytest.raises(ImageNotFoundError):
            await client.repository(docker_registry.host, "source/small").manifest("2")


async def test_a_registry_on_this_machine_is_refused_unless_it_was_allowed(docker_registry: Registry) -> None:
    nobody = OneCredential("", None)
    client = ImageClient(HttpFactory(), nobody, RegistrySettings(), SystemClock())
    try:
        with pytest.raises(RegistryRefusedError):
            await client.repository(docker_registry.host, "source/small").manifest("1")
    finally:
        await client.aclose()
