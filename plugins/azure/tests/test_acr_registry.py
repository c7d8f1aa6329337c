"""A real registry behind the front of Azure's: from our identity to the image."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from acr_front import AcrFront
from azure_rig import Authority, loopback_http
from managed_identity import ManagedIdentity
from oci_archive import Entry, Image, build_image, layer_tar
from registries import Registry, registry_that_sends_to
from scanguard_azure.registry.config import AcrConfig
from scanguard_azure.registry.credentials import AcrCredentials
from token_server import TokenServer

from scanguard import RegistryAuthError, RegistryCredential
from scanguard.oci.client import ImageClient
from scanguard.oci.credentials import CredentialSource
from scanguard.oci.settings import RegistrySettings
from scanguard.ports import SystemClock
from scanguard.testing.contexts import make_context

pytestmark = pytest.mark.integration
ACR = "acmeco-a1b2c3.azurecr.io"


class AsPassword:
    """What a program such as Trivy is given: user and password, no identity token."""

    def __init__(self, inner: CredentialSource) -> None:
        self._inner = inner

    async def credential(self, registry: str) -> RegistryCredential | None:
        found = await self._inner.credential(registry)
        return found and RegistryCredential(found.username, password=found.password)


@asynccontextmanager
async def azure(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, members: set[str], as_password: bool = False
) -> AsyncIterator[tuple[ImageClient, AcrFront, Registry]]:
    """A client that knows our identity only, the front, and the registry behind it."""
    tokens = TokenServer({}, service=ACR)
    authority = Authority(folder, "*.azurecr.io")
    with registry_that_sends_to(folder, tokens, f"https://{ACR}/oauth2/token") as registry:
        front = AcrFront(authority.tls, members, backend=registry.url, issue=tokens.issue, service=ACR)
        async with front, ManagedIdentity() as identity:
            for name, value in identity.environment.items():
                monkeypatch.setenv(name, value)
            http = loopback_http(authority.ca_file, front.server.port)
            source = AcrCredentials(AcrConfig(allow=(ACR,)), make_context(folder, http=http, clock=SystemClock()))
            settings = RegistrySettings(allow_private=(ACR,))
            images = ImageClient(http, AsPassword(source) if as_password else source, settings, SystemClock())
            try:
                yield images, front, registry
            finally:
                await images.aclose()
                await source.aclose()


@pytest.fixture
def pushed() -> Image:
    layer = layer_tar([Entry("app/hello", b"hello")], mtime=0)
    return build_image([layer], created="2024-10-10T00:00:00Z", config={"Cmd": ["sh"]})


@pytest.mark.parametrize("as_password", [False, True], ids=["identity-token", "user-and-password"])
async def test_our_identity_opens_an_image_of_a_private_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pushed: Image, as_password: bool
) -> None:
    async with azure(tmp_path, monkeypatch, members={ACR}, as_password=as_password) as (images, front, registry):
        digest = registry.push(pushed, "shop/api", "1")
        for _ in range(2):
            found = await images.resolve(f"{ACR}/shop/api:1")
            assert found.digest == digest
        async with images.open(found) as reader:
            assert [file.path async for file in reader.files(lambda path: True)] == ["app/hello"]
        assert front.violations == []
        assert front.exchanged == [ACR]
        asked = [method for method, path in front.seen if path == "/oauth2/token"]
        assert asked == ["GET" if as_password else "POST"]


async def test_a_registry_that_does_not_know_us_says_which_role_to_grant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pushed: Image
) -> None:
    async with azure(tmp_path, monkeypatch, members=set()) as (images, _, registry):
        registry.push(pushed, "shop/api", "1")
        with pytest.raises(RegistryAuthError, match="AcrPull"):
            await images.resolve(f"{ACR}/shop/api:1")
