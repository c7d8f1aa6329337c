"""Logging in to registries, and what is never sent where."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from scanguard.errors import (
    ImageCorruptError,
    RegistryAuthError,
    RegistryError,
    RegistryRefusedError,
    RegistryThrottledError,
    RegistryUnavailableError,
)
from scanguard.http import HttpFactory
from scanguard.oci.blobs import Descriptor
from scanguard.oci.client import ImageClient
from scanguard.oci.credentials import RegistryCredential
from scanguard.oci.settings import RegistrySettings
from scanguard.testing.registry import FakeRegistry, always, digest_of, error, times
from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

REPOSITORY = "shop/api"
PASSWORD = RegistryCredential("robot", SecretStr("canary-password"))
WRONG = RegistryCredential("robot", SecretStr("canary-wrong"))
TOKEN = RegistryCredential("robot", identity_token=SecretStr("canary-identity-token"))
CANARIES = ("canary", base64.b64encode(b"robot:canary")[:12].decode())


@dataclass
class Clock:
    time: datetime = field(default_factory=lambda: datetime(2025, 6, 1, tzinfo=UTC))

    def now(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Credentials:
    """Knows one registry; notes who asked."""

    registry: str = ""
    known: RegistryCredential | None = None
    asked: list[str] = field(default_factory=list)

    async def credential(self, registry: str) -> RegistryCredential | None:
        self.asked.append(registry)
        return self.known if registry == self.registry else None


@asynccontextmanager
async def client_of(
    registry: FakeRegistry,
    credential: RegistryCredential | None = None,
    *,
    clock: Clock | None = None,
    http: HttpFactory | None = None,
    settings: RegistrySettings | None = None,
) -> AsyncIterator[ImageClient]:
    settings = settings or RegistrySettings(insecure=(registry.host,), timeout_s=5)
    credentials = Credentials(registry.host, credential)
    client = ImageClient(http or HttpFactory(), credentials, settings, clock or Clock())
    try:
        yield client
    finally:
        await client.aclose()


async def read(client: ImageClient, registry: FakeRegistry, reference: str = "1.4") -> bytes:
    return (await client.repository(registry.host, REPOSITORY).manifest(reference)).data


async def read_blob(client: ImageClient, registry: FakeRegistry, data: bytes) -> bytes:
    descriptor = Descriptor(media_type="a/b", digest=digest_of(data), size=len(data))
    return b"".join([chunk async for chunk in client.repository(registry.host, REPOSITORY).blob(descriptor)])


@pytest.fixture(autouse=True)
def _no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> object:
    caplog.set_level(logging.DEBUG)
    yield
    assert not [record for record in caplog.records if any(canary in record.getMessage() for canary in CANARIES)]


def assert_safe(exc: BaseException) -> None:
    """No secret in the text of an error or of anything it was caused by."""
    seen: BaseException | None = exc
    while seen is not None:
        assert not any(canary in text for text in (str(seen), repr(seen)) for canary in CANARIES)
        seen = seen.__cause__


# --- the flows ------------------------------------------------------------------------------------------------


async def test_basic_credentials_are_sent_when_asked_for_and_then_at_once() -> None:
    async with FakeRegistry(auth="basic") as registry, client_of(registry, PASSWORD) as client:
        pushed = registry.push_image(REPOSITORY, tag="1.4")
        assert await read(client, registry) == pushed.data
        assert ["authorization" in r.headers for r in registry.requests] == [False, True, True]


async def test_an_anonymous_reader_gets_a_token_for_a_public_repository() -> None:
    async with FakeRegistry(auth="bearer", public={REPOSITORY}) as registry, client_of(registry) as client:
        pushed = registry.push_image(REPOSITORY, tag="1.4")
        assert await read(client, registry) == pushed.data
        (asked,) = registry.seen("GET", "/token")
        assert asked.query == {"service": ["registry.test"], "scope": ["repository:shop/api:pull"]}
        assert "authorization" not in asked.headers


@pytest.mark.parametrize("field_name", ["token", "access_token"])
async def test_user_and_password_are_changed_for_a_token(field_name: str) -> None:
    async with FakeRegistry(auth="bearer", token_field=field_name) as registry, client_of(registry, PASSWORD) as client:
        pushed = registry.push_image(REPOSITORY, tag="1.4")
        assert await read(client, registry) == pushed.data
        reads = [r for r in registry.requests if r.path.startswith("/v2/")]
        assert not [r for r in reads if r.headers.get("authorization", "").startswith("Basic")]


async def test_an_identity_token_is_changed_by_post() -> None:
    async with FakeRegistry(auth="bearer") as registry, client_of(registry, TOKEN) as client:
        pushed = registry.push_image(REPOSITORY, tag="1.4")
        assert await read(client, registry) == pushed.data
        (asked,) = registry.seen("POST", "/token")
        assert asked.form["grant_type"] == "refresh_token"
        assert asked.form["scope"] == "repository:shop/api:pull"
        assert "canary" not in asked.target


async def test_one_token_serves_everything_in_a_repository_at_the_same_time() -> None:
    async with FakeRegistry(auth="bearer") as registry, client_of(registry, PASSWORD) as client:
        blobs = [b"%d" % number for number in range(8)]
        for blob in blobs:
            registry.push_blob(REPOSITORY, blob)
        assert await asyncio.gather(*(read_blob(client, registry, blob) for blob in blobs)) == blobs
        assert len(registry.tokens) == 1


async def test_another_repository_gets_a_token_of_its_own() -> None:
    async with FakeRegistry(auth="bearer") as registry, client_of(registry, PASSWORD) as client:
        for repository in ("a/a", "b/b"):
            registry.push_image(repository, tag="1")
            await client.repository(registry.host, repository).manifest("1")
        assert len(registry.tokens) == 2


@pytest.mark.parametrize(("expires_in", "lifetime_s"), [(300, 300), (None, 60)], ids=["stated", "not-stated"])
async def test_a_token_is_used_for_its_life_time_and_no_longer(expires_in: int | None, lifetime_s: int) -> None:
    clock = Clock()
    async with (
        FakeRegistry(auth="bearer", expires_in=expires_in) as registry,
        client_of(registry, PASSWORD, clock=clock) as client,
    ):
        registry.push_image(REPOSITORY, tag="1.4")
        await read(client, registry)
        clock.advance(lifetime_s - 15)
        await read(client, registry)
        assert len(registry.tokens) == 1
        clock.advance(15)
        await read(client, registry)
        assert len(registry.tokens) == 2
        # an expired token is not tried first
        assert len([r for r in registry.requests if r.headers.get("authorization") == "Bearer canary-token-0"]) == 3


async def test_a_token_revoked_early_is_replaced() -> None:
    async with FakeRegistry(auth="bearer") as registry, client_of(registry, PASSWORD) as client:
        pushed = registry.push_image(REPOSITORY, tag="1.4")
        await read(client, registry)
        registry.revoke_tokens()
        registry.push_image("other", tag="1")  # so that the next token has another number
        registry._tokens["canary-token-x"] = set()
        assert await read(client, registry, pushed.digest) == pushed.data
        assert await read(client, registry) == pushed.data


# --- refusals -------------------------------------------------------------------------------------------------


async def test_a_fresh_token_that_is_not_accepted_ends_it() -> None:
    async with FakeRegistry(auth="bearer") as registry, client_of(registry) as client:
        registry.push_image(REPOSITORY, tag="1.4")
        with pytest.raises(RegistryAuthError) as caught:
            await read(client, registry)
        assert [r.path.split("/")[1] for r in registry.requests] == ["v2", "token", "v2"]
        assert_safe(caught.value)


@pytest.mark.parametrize("auth", ["basic", "bearer"])
async def test_wrong_credentials_are_refused_without_a_loop(auth: str) -> None:
    async with FakeRegistry(auth=auth) as registry, client_of(registry, WRONG) as client:  # type: ignore[arg-type]  # both are allowed values
        with pytest.raises(RegistryAuthError) as caught:
            await read(client, registry)
        assert len(registry.requests) <= 3
        assert_safe(caught.value)


async def test_a_registry_that_wants_a_password_we_do_not_have_says_so() -> None:
    async with FakeRegistry(auth="basic") as registry, client_of(registry) as client:
        with pytest.raises(RegistryAuthError, match="none are configured"):
            await read(client, registry)


@pytest.mark.parametrize("challenge", ["", "Negotiate", "Bearer service=x", ",,,"])
async def test_a_challenge_nobody_can_answer_is_an_error(challenge: str) -> None:
    async with FakeRegistry() as registry, client_of(registry, PASSWORD) as client:
        headers = {"WWW-Authenticate": challenge} if challenge else {}
        registry.faults.append(always("/v2/", lambda: error(401, "UNAUTHORIZED", headers)))
        with pytest.raises(RegistryAuthError):
            await read(client, registry)
        assert len(registry.requests) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(Answer(200, b"no json"), RegistryError, id="no-json"),
        pytest.param(Answer(200, b"[]"), RegistryError, id="no-object"),
        pytest.param(Answer(200, b"{}"), RegistryError, id="no-token"),
        pytest.param(Answer(200, b'{"token": 7}'), RegistryError, id="no-text"),
        pytest.param(Answer(200, b'{"token": "a\\r\\nX-Evil: 1"}'), RegistryError, id="header-injection"),
        pytest.param(Answer(200, b"[" * 100_000), RegistryError, id="deep"),
        pytest.param(Answer(200, b" " * 2_000_000), RegistryError, id="large"),
        pytest.param(Answer(302, b"", {"Location": "https://evil.example/"}), RegistryError, id="redirect"),
        pytest.param(Answer(401, b"canary"), RegistryAuthError, id="refuses"),
        pytest.param(Answer(429, b"", {"Retry-After": "9"}), RegistryThrottledError, id="throttles"),
        pytest.param(Answer(500, b"your password canary-password is bad"), RegistryUnavailableError, id="fails"),
        pytest.param(Answer(delay_s=60), RegistryUnavailableError, id="hangs"),
    ],
)
async def test_each_answer_of_a_token_server_has_its_error(answer: Answer, kind: type[RegistryError]) -> None:
    async with FakeRegistry(auth="bearer") as registry:
        settings = RegistrySettings(insecure=(registry.host,), timeout_s=0.5)
        registry.faults.append(always("/token", lambda: answer))
        async with client_of(registry, PASSWORD, settings=settings) as client:
            with pytest.raises(RegistryError) as caught:
                await read(client, registry)
        assert type(caught.value) is kind
        assert caught.value.retry_after_s == (9 if kind is RegistryThrottledError else None)
        assert_safe(caught.value)


async def test_a_token_server_that_hangs_holds_up_no_other_registry() -> None:
    async with FakeRegistry(auth="bearer") as hanging, FakeRegistry(auth="bearer", public={REPOSITORY}) as good:
        hanging.faults.append(always("/token", lambda: Answer(delay_s=60)))
        good.push_image(REPOSITORY, tag="1.4")
        async with client_of(
            good, settings=RegistrySettings(insecure=(good.host, hanging.host), timeout_s=2)
        ) as client:
            waiting = asyncio.create_task(read(client, hanging))
            for _ in range(500):
                if hanging.seen("GET", "/token"):
                    break
                await asyncio.sleep(0.01)
            assert await asyncio.wait_for(read(client, good), 1)
            assert not waiting.done()
            waiting.cancel()


async def test_a_scope_that_names_no_repository_is_passed_on() -> None:
    """As public.ecr.aws does."""
    async with FakeRegistry() as registry, client_of(registry) as client:
        challenge = f'Bearer realm="{registry.url}/token",service="registry.test",scope="aws"'
        registry.faults.append(times(1, "/v2/", lambda: error(401, "UNAUTHORIZED", {"WWW-Authenticate": challenge})))
        registry.push_image(REPOSITORY, tag="1.4")
        await read(client, registry)
        assert registry.seen("GET", "/token")[0].query["scope"] == ["aws"]


async def test_no_scope_of_the_registrys_choice_reaches_another_repository_or_asks_to_push() -> None:
    async with FakeRegistry(auth="bearer") as registry, client_of(registry, PASSWORD) as client:
        challenge = f'Bearer realm="{registry.url}/token",service="registry.test",scope="repository:other/thing:push,*"'
        registry.faults.append(times(1, "/v2/", lambda: error(401, "UNAUTHORIZED", {"WWW-Authenticate": challenge})))
        registry.push_image(REPOSITORY, tag="1.4")
        await read(client, registry)
        assert registry.seen("GET", "/token")[0].query["scope"] == ["repository:shop/api:pull"]


@pytest.mark.parametrize(
    "lifetime", ["-1", "0", "1e999", '"60"', "null", "true", "NaN"], ids=lambda lifetime: f"expires_in={lifetime}"
)
async def test_a_senseless_life_time_means_a_minute(lifetime: str) -> None:
    clock = Clock()
    async with FakeRegistry(auth="bearer") as registry, client_of(registry, PASSWORD, clock=clock) as client:
        registry.push_image(REPOSITORY, tag="1.4")
        registry._tokens["canary-t"] = {"repository:shop/api:pull"}
        body = f'{{"token": "canary-t", "expires_in": {lifetime}}}'.encode()
        registry.faults.append(always("/token", lambda: Answer(200, body)))
        await read(client, registry)
        clock.advance(45)
        await read(client, registry)
        assert len(registry.seen("GET", "/token")) == 1
        clock.advance(15)
        await read(client, registry)
        assert len(registry.seen("GET", "/token")) == 2


async def test_an_error_that_repeats_what_we_sent_does_not_show_it() -> None:
    async with FakeRegistry(auth="bearer") as registry, client_of(registry, PASSWORD) as client:

        def echo(request: ReceivedRequest) -> Answer | None:
            sent = request.headers.get("authorization", "")
            return Answer(403, f"denied to {sent} {sent.split(' ')[-1]}".encode()) if sent else None

        registry.faults.append(lambda request: echo(request) if request.path.startswith("/v2/") else None)
        with pytest.raises(RegistryAuthError, match="denied to") as caught:
            await read(client, registry, digest_of(b""))
        assert_safe(caught.value)


# --- realms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "realm",
    [
        pytest.param("http://169.254.169.254/metadata", id="metadata-service"),
        pytest.param("http://auth.example/token", id="plain-http"),
        pytest.param("https://user:canary@127.0.0.1/token", id="user-in-url"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("//auth.example/token", id="no-scheme"),
        pytest.param("https:///token", id="no-host"),
        pytest.param("https://a:99999/token", id="bad-port"),
        pytest.param("nonsense", id="nonsense"),
        pytest.param("https://b%C3%BCcher.example\\@127.0.0.1/token", id="backslash"),
    ],
)
@pytest.mark.parametrize("credential", [None, PASSWORD], ids=["anonymous", "with-password"])
async def test_a_token_server_that_may_not_be_asked_is_not(realm: str, credential: RegistryCredential | None) -> None:
    async with FakeRegistry(auth="bearer", realm=realm) as registry, client_of(registry, credential) as client:
        with pytest.raises(RegistryRefusedError) as caught:
            await read(client, registry)
        assert_safe(caught.value)
        assert len(registry.requests) == 1


async def test_a_token_server_on_a_private_host_is_refused_when_its_address_is_known() -> None:
    async def resolve(host: str, port: int) -> Sequence[tuple[str, int]]:
        return [("127.0.0.1", registry.port)] if host == "127.0.0.1" else [("10.0.0.5", port)]

    async with (
        FakeRegistry(auth="bearer", realm="https://innocent.example/token") as registry,
        client_of(registry, http=HttpFactory(resolve=resolve)) as client,
    ):
        with pytest.raises(RegistryRefusedError, match=r"10\.0\.0\.5"):
            await read(client, registry)


async def test_credentials_are_not_given_to_a_token_server_on_another_host() -> None:
    async with LoopbackServer(_never) as other, FakeRegistry(auth="bearer") as registry:
        registry.realm = f"http://localhost:{other.port}/token"
        settings = RegistrySettings(insecure=(registry.host, f"localhost:{other.port}"))
        async with client_of(registry, PASSWORD, settings=settings) as client:
            with pytest.raises(RegistryRefusedError, match=r"registries\.realms"):
                await read(client, registry)
        assert other.requests == []


async def test_a_token_server_named_in_the_configuration_is_trusted_with_credentials() -> None:
    async with FakeRegistry(auth="bearer") as registry:
        tokens = f"localhost:{registry.port}"
        registry.realm = f"http://{tokens}/token?tenant=a"
        pushed = registry.push_image(REPOSITORY, tag="1.4")
        settings = RegistrySettings(insecure=(registry.host, tokens), realms={registry.host: tokens})
        async with client_of(registry, PASSWORD, settings=settings) as client:
            assert await read(client, registry) == pushed.data
        (asked,) = registry.seen("GET", "/token")
        assert asked.headers["host"] == tokens
        assert asked.query["tenant"] == ["a"]


async def _never(request: ReceivedRequest) -> Answer:
    return Answer(500)


# --- redirects ------------------------------------------------------------------------------------------------


def both(registry: FakeRegistry, other: LoopbackServer) -> RegistrySettings:
    return RegistrySettings(insecure=(registry.host,), allow_private=(other.host,), timeout_s=5)


def redirect(location: str) -> Answer:
    return Answer(307, b"", {"Location": location})


async def test_a_blob_is_read_from_where_the_registry_redirects_without_our_authorization() -> None:
    async def store(request: ReceivedRequest) -> Answer:
        return Answer(200, b"layer")

    async with (
        LoopbackServer(store) as other,
        FakeRegistry(auth="bearer") as registry,
        client_of(registry, PASSWORD, settings=both(registry, other)) as client,
    ):
        registry.push_image(REPOSITORY, tag="1.4")
        await read(client, registry)
        registry.faults.append(always("/blobs/", lambda: redirect(f"{other.url}/layer?sig=canary")))
        assert await read_blob(client, registry, b"layer") == b"layer"
        (received,) = other.requests
        assert "authorization" not in received.headers
        assert "cookie" not in received.headers
        assert registry.requests[-1].headers["authorization"].startswith("Bearer")


async def test_a_redirect_within_the_registry_keeps_the_authorization() -> None:
    async with FakeRegistry(auth="bearer") as registry, client_of(registry, PASSWORD) as client:
        pushed = registry.push_image(REPOSITORY, tag="1.4")
        target = f"/v2/{REPOSITORY}/manifests/{pushed.digest}"
        registry.faults.append(times(1, "manifests/old", lambda: redirect(target)))
        assert await read(client, registry, "old") == pushed.data


async def test_another_registry_behind_a_redirect_is_asked_anonymously() -> None:
    """As registry.k8s.io does with whole repositories."""
    async with FakeRegistry(auth="bearer", public={"real/name"}) as real, FakeRegistry() as front:
        pushed = real.push_image("real/name", tag="1.4")
        front.faults.append(lambda r: redirect(f"{real.url}/v2/real/name/manifests/{r.path.rpartition('/')[2]}"))
        settings = RegistrySettings(insecure=(front.host, real.host))
        credentials = Credentials(front.host, PASSWORD)
        client = ImageClient(HttpFactory(), credentials, settings, Clock())
        manifest = await client.repository(front.host, REPOSITORY).manifest("1.4")
        await client.aclose()
        assert manifest.data == pushed.data
        assert credentials.asked == []
        assert not [r for r in real.requests if r.headers.get("authorization", "").startswith("Basic")]


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("ftp://other.example/x", id="scheme"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("https://user:canary@other.example/x", id="user"),
        pytest.param("https://169.254.169.254/metadata", id="metadata-service"),
        pytest.param("https://[::1]/x", id="loopback"),
        pytest.param("https://10.0.0.1/x", id="private"),
        pytest.param("https:///x", id="no-host"),
        pytest.param("https://bücher.example/x", id="two-spellings-of-a-host"),
        pytest.param("", id="nowhere"),
    ],
)
async def test_a_redirect_that_may_not_be_followed_is_not(location: str) -> None:
    async with FakeRegistry() as registry, client_of(registry, PASSWORD) as client:
        registry.faults.append(always("/blobs/", lambda: redirect(location)))
        with pytest.raises(RegistryRefusedError) as caught:
            await read_blob(client, registry, b"layer")
        assert_safe(caught.value)
        assert len(registry.requests) == 1


async def test_a_redirect_to_something_unreadable_is_an_error() -> None:
    async with FakeRegistry() as registry, client_of(registry, PASSWORD) as client:
        registry.faults.append(always("/blobs/", lambda: redirect("https://user:canary@a:port/?sig=canary")))
        with pytest.raises(RegistryError) as caught:
            await read_blob(client, registry, b"layer")
        assert "canary" not in str(caught.value)


async def test_a_redirect_loop_ends_after_five() -> None:
    async with FakeRegistry() as registry, client_of(registry) as client:
        registry.faults.append(always("/blobs/", lambda: redirect("/v2/shop/api/blobs/x")))
        with pytest.raises(RegistryRefusedError, match="more than 5 times"):
            await read_blob(client, registry, b"layer")
        assert len(registry.requests) == 6


async def test_an_error_behind_a_redirect_names_the_server_and_not_its_signature() -> None:
    async with (
        LoopbackServer(_forbidden) as other,
        FakeRegistry() as registry,
        client_of(registry, settings=both(registry, other)) as client,
    ):
        registry.faults.append(always("/blobs/", lambda: redirect(f"{other.url}/layer?sig=canary")))
        with pytest.raises(RegistryAuthError, match=f"redirected to {other.url}") as caught:
            await read_blob(client, registry, b"layer")
        assert_safe(caught.value)


async def _forbidden(request: ReceivedRequest) -> Answer:
    return Answer(403, f"signature of {request.target} is wrong, see https://x.example{request.target}".encode())


# --- TLS, names ----------------------------------------------------------------------------------------------


def tls_context(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return ca, tmp_path / "ca.pem"


def named(registry: FakeRegistry, lookups: list[str]) -> HttpFactory:
    """Every name leads to the simulator."""

    async def resolve(host: str, port: int) -> Sequence[tuple[str, int]]:
        lookups.append(f"{host}:{port}")
        return [("127.0.0.1", registry.port)]

    return HttpFactory(resolve=resolve)


async def test_docker_hub_is_asked_at_its_own_servers(authority: tuple[trustme.CA, Path]) -> None:
    ca, ca_file = authority
    lookups: list[str] = []
    tls = tls_context(ca, "registry-1.docker.io", "auth.docker.io")
    async with FakeRegistry(auth="bearer", tls=tls, realm="https://auth.docker.io/token") as registry:
        pushed = registry.push_image("library/nginx", tag="latest")
        settings = RegistrySettings(ca_file=ca_file, allow_private=("127.0.0.0/8",))
        credentials = Credentials("docker.io", PASSWORD)
        client = ImageClient(named(registry, lookups), credentials, settings, Clock())
        for name in ("docker.io", "index.docker.io"):
            manifest = await client.repository(name, "library/nginx").manifest("latest")
            assert manifest.data == pushed.data
        await client.aclose()
    assert set(lookups) == {"registry-1.docker.io:443", "auth.docker.io:443"}
    assert set(credentials.asked) == {"docker.io"}
    assert len(registry.tokens) == 1


@pytest.mark.parametrize("credential", [None, PASSWORD], ids=["anonymous", "with-password"])
async def test_docker_hub_has_no_other_token_server(
    authority: tuple[trustme.CA, Path], credential: RegistryCredential | None
) -> None:
    ca, ca_file = authority
    lookups: list[str] = []
    tls = tls_context(ca, "registry-1.docker.io", "auth.docker.io.evil.example")
    async with FakeRegistry(auth="bearer", tls=tls, realm="https://auth.docker.io.evil.example/token") as registry:
        settings = RegistrySettings(ca_file=ca_file, allow_private=("127.0.0.0/8",))
        client = ImageClient(named(registry, lookups), Credentials("docker.io", credential), settings, Clock())
        with pytest.raises(RegistryRefusedError):
            await client.repository("docker.io", "library/nginx").manifest("latest")
        await client.aclose()
    assert set(lookups) == {"registry-1.docker.io:443"}


async def test_a_registry_over_tls_does_not_redirect_to_plain_http(authority: tuple[trustme.CA, Path]) -> None:
    ca, ca_file = authority
    async with FakeRegistry(tls=tls_context(ca, "registry.example")) as registry:
        registry.faults.append(always("/blobs/", lambda: redirect("http://registry.example/layer")))
        settings = RegistrySettings(ca_file=ca_file, allow_private=True)
        client = ImageClient(named(registry, []), Credentials(), settings, Clock())
        descriptor = Descriptor(media_type="a/b", digest=digest_of(b""), size=0)
        with pytest.raises(RegistryRefusedError, match="plain http"):
            await anext(client.repository("registry.example", REPOSITORY).blob(descriptor))
        await client.aclose()


async def test_a_certificate_nobody_vouches_for_is_told_with_the_setting(authority: tuple[trustme.CA, Path]) -> None:
    ca, _ = authority
    async with FakeRegistry(tls=tls_context(ca, "127.0.0.1")) as registry:
        settings = RegistrySettings(allow_private=(registry.host,))
        async with client_of(registry, settings=settings) as client:
            with pytest.raises(RegistryUnavailableError, match=r"registries\.ca_file"):
                await read(client, registry)


async def test_plain_http_is_not_tried_for_a_registry_that_does_not_speak_tls() -> None:
    async with FakeRegistry() as registry:
        settings = RegistrySettings(allow_private=(registry.host,))
        async with client_of(registry, PASSWORD, settings=settings) as client:
            with pytest.raises(RegistryUnavailableError, match="--insecure-registry"):
                await read(client, registry)
        assert registry.requests == []


async def test_only_allowed_registries_are_asked() -> None:
    client = ImageClient(HttpFactory(), Credentials(), RegistrySettings(allowed=("*.azurecr.io", "docker.io")), Clock())
    assert client.repository("acme.azurecr.io", "a")
    assert client.repository("registry-1.docker.io", "a")
    for name in ("acme.azurecr.io.evil.example", "ghcr.io"):
        with pytest.raises(RegistryRefusedError, match=r"registries\.allowed"):
            client.repository(name, "a")
    await client.aclose()


def test_the_settings_take_hosts_and_networks_and_nothing_else() -> None:
    settings = RegistrySettings.model_validate(
        {
            "insecure": ["LOCALHOST:5000"],
            "allow_private": ["10.1.2.3/8", "[::1]:5000"],
            "default_platform": "linux/arm64/v8",
        }
    )
    assert settings.insecure == ("localhost:5000",)
    assert settings.allow_private == ("10.0.0.0/8", "[::1]:5000")
    assert str(settings.default_platform) == "linux/arm64/v8"
    assert settings.with_insecure(["r.example"]).is_insecure("R.example")
    for wrong in ("http://a", "a/b", "a b", "", "-a"):
        with pytest.raises(ValueError, match="insecure"):
            RegistrySettings.model_validate({"insecure": [wrong]})
    with pytest.raises(ValueError, match="network"):
        RegistrySettings(allow_private=("10.0.0.0/99",))


async def test_a_wrong_digest_stays_an_error_with_every_kind_of_login() -> None:
    async with FakeRegistry(auth="bearer") as registry, client_of(registry, PASSWORD) as client:
        registry.push_manifest(REPOSITORY, json.dumps({}).encode(), tag=digest_of(b"other"))
        with pytest.raises(ImageCorruptError):
            await read(client, registry, digest_of(b"other"))
