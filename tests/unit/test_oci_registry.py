"""Reading manifests and blobs from a registry that keeps the rules, and from ones that do not."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from scanguard.errors import (
    ImageCorruptError,
    ImageNotFoundError,
    ImageTooLargeError,
    RegistryAuthError,
    RegistryError,
    RegistryRefusedError,
    RegistryThrottledError,
    RegistryUnavailableError,
)
from scanguard.http import HttpFactory
from scanguard.oci.blobs import Descriptor, RawManifest
from scanguard.oci.client import ImageClient
from scanguard.oci.credentials import CredentialChain
from scanguard.oci.registry import ManifestCache, RegistrySource
from scanguard.oci.settings import RegistrySettings
from scanguard.testing.registry import OCI_INDEX, OCI_MANIFEST, FakeRegistry, Fault, always, digest_of, error, times
from scanguard.testing.server import Answer, ReceivedRequest

REPOSITORY = "shop/api"
NOW = datetime(2025, 6, 1, 12, 0, tzinfo=UTC)


class FixedClock:
    def now(self) -> datetime:
        return NOW


@asynccontextmanager
async def source(registry: FakeRegistry, *, timeout_s: float = 5.0) -> AsyncIterator[RegistrySource]:
    settings = RegistrySettings(insecure=(registry.host,), timeout_s=timeout_s)
    client = ImageClient(HttpFactory(), CredentialChain([]), settings, FixedClock())
    try:
        yield client.repository(registry.host, REPOSITORY)
    finally:
        await client.aclose()


async def fetch(source: RegistrySource, digest: str, size: int) -> bytes:
    media_type = "application/octet-stream"
    return b"".join([chunk async for chunk in source.blob(Descriptor(media_type=media_type, digest=digest, size=size))])


async def trickle() -> AsyncIterator[bytes]:
    while True:
        yield b"x"
        await asyncio.sleep(0.02)


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 65536


# --- manifests ------------------------------------------------------------------------------------------------


async def test_a_tag_is_asked_by_head_and_read_by_digest() -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        pushed = registry.push_image(REPOSITORY, tag="1.4")
        manifest = await repository.manifest("1.4")
        assert (manifest.digest, manifest.media_type, manifest.data) == (pushed.digest, OCI_MANIFEST, pushed.data)
        assert [(r.method, r.path) for r in registry.requests] == [
            ("HEAD", "/v2/shop/api/manifests/1.4"),
            ("GET", f"/v2/shop/api/manifests/{pushed.digest}"),
        ]
        for request in registry.requests:
            accepted = {part.strip() for part in request.headers["accept"].split(",")}
            assert len(accepted) == 4


async def test_the_same_tag_again_costs_no_second_pull() -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        registry.push_image(REPOSITORY, tag="1.4")
        first = await repository.manifest("1.4")
        assert await repository.manifest("1.4") == first
        assert [r.method for r in registry.requests] == ["HEAD", "GET", "HEAD"]


async def test_a_tag_that_moved_gives_the_new_manifest() -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        registry.push_image(REPOSITORY, tag="1.4")
        first = await repository.manifest("1.4")
        moved = registry.push_image(REPOSITORY, tag="1.4", layers=[b"new"])
        assert (await repository.manifest("1.4")).digest == moved.digest != first.digest


async def test_a_digest_is_read_without_a_head() -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        pushed = registry.push_index(REPOSITORY, [])
        manifest = await repository.manifest(pushed.digest)
        assert (manifest.digest, manifest.media_type) == (pushed.digest, OCI_INDEX)
        assert [r.method for r in registry.requests] == ["GET"]


@pytest.mark.parametrize("fault", [None, times(1, "manifests/1.4", lambda: error(405, "UNSUPPORTED"), method="HEAD")])
async def test_a_registry_that_states_no_digest_is_read_and_the_digest_computed(fault: Fault | None) -> None:
    async with FakeRegistry(states_digest=False) as registry, source(registry) as repository:
        registry.faults += [fault] if fault else []
        pushed = registry.push_image(REPOSITORY, tag="1.4")
        assert (await repository.manifest("1.4")).digest == pushed.digest


async def test_a_longer_digest_is_verified_with_its_own_algorithm() -> None:
    async with FakeRegistry(states_digest=False) as registry, source(registry) as repository:
        data = json.dumps({"mediaType": OCI_MANIFEST}).encode()
        right = f"sha512:{hashlib.sha512(data).hexdigest()}"
        registry.push_manifest(REPOSITORY, data, tag=right)
        assert (await repository.manifest(right)).digest == right
        wrong = "sha512:" + "0" * 128
        registry.push_manifest(REPOSITORY, data, tag=wrong)
        with pytest.raises(ImageCorruptError):
            await repository.manifest(wrong)


async def test_a_manifest_without_a_useful_content_type_says_itself_what_it_is() -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        data = json.dumps({"mediaType": OCI_INDEX}).encode()
        registry.faults.append(always("manifests", lambda: Answer(200, data, {"Content-Type": "application/json"})))
        assert (await repository.manifest("1.4")).media_type == OCI_INDEX


LIE = b'{"mediaType": "evil"}'


@pytest.mark.parametrize(
    ("reference", "headers"),
    [
        pytest.param(digest_of(b"other"), {}, id="not-the-digest-asked-for"),
        pytest.param("1.4", {"Docker-Content-Digest": digest_of(b"other")}, id="not-the-digest-stated"),
        pytest.param("1.4", {"Docker-Content-Digest": "sha256:short"}, id="no-digest-stated"),
        pytest.param(digest_of(LIE), {"Docker-Content-Digest": digest_of(b"x")}, id="right-but-stated-otherwise"),
    ],
)
async def test_a_registry_that_lies_about_a_digest_is_found_out(reference: str, headers: dict[str, str]) -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        registry.faults.append(always("manifests", lambda: Answer(200, LIE, headers)))
        with pytest.raises(ImageCorruptError, match="shop/api"):
            await repository.manifest(reference)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda: Answer(200, b" " * (4 * 1024 * 1024 + 1)), id="large"),
        pytest.param(lambda: Answer(200, stream=endless()), id="endless"),
        pytest.param(lambda: Answer(200, headers={"Content-Length": "99999999999"}, cut_at=0), id="announced"),
    ],
)
async def test_a_manifest_past_its_limit_is_refused(answer: Callable[[], Answer]) -> None:
    async with FakeRegistry(states_digest=False) as registry, source(registry) as repository:
        registry.faults.append(always("manifests", answer, method="GET"))
        with pytest.raises(ImageTooLargeError, match="larger than"):
            await repository.manifest(digest_of(b""))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RegistryError),
        (401, RegistryAuthError),
        (403, RegistryAuthError),
        (404, ImageNotFoundError),
        (408, RegistryUnavailableError),
        (410, RegistryError),
        (429, RegistryThrottledError),
        (500, RegistryUnavailableError),
        (501, RegistryUnavailableError),
        (204, RegistryError),
        (304, RegistryError),
    ],
)
async def test_each_status_has_its_error(status: int, kind: type[RegistryError]) -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        registry.faults.append(always("manifests", lambda: Answer(status)))
        with pytest.raises(RegistryError) as caught:
            await repository.manifest(digest_of(b""))
        assert type(caught.value) is kind
        assert caught.value.target == registry.host
        assert REPOSITORY in str(caught.value)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param({"Retry-After": "77"}, 77.0, id="seconds"),
        pytest.param({"Retry-After": "Sun, 01 Jun 2025 12:01:00 GMT"}, 60.0, id="date"),
        pytest.param({}, None, id="not-said"),
    ],
)
async def test_being_throttled_is_told_with_the_time_to_wait_and_not_tried_again(
    header: dict[str, str], seconds: float | None
) -> None:
    text = b"You have reached your pull rate limit. \x1b[31m" + b"x" * 1000
    async with FakeRegistry() as registry, source(registry) as repository:
        registry.faults.append(always("manifests", lambda: Answer(429, text, header)))
        with pytest.raises(RegistryThrottledError, match="You have reached your pull rate limit") as caught:
            await repository.manifest(digest_of(b""))
        assert caught.value.retry_after_s == seconds
        assert len(registry.requests) == 1
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500


async def test_a_burst_of_gateway_errors_is_ridden_out() -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        pushed = registry.push_image(REPOSITORY, tag="1.4")
        registry.faults.append(times(2, "manifests", lambda: Answer(503)))
        assert (await repository.manifest("1.4")).digest == pushed.digest


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda: Answer(delay_s=60), id="silent"),
        pytest.param(lambda: Answer(200, stream=trickle()), id="trickling"),
        pytest.param(lambda: Answer(500, stream=trickle()), id="trickling-error"),
    ],
)
async def test_a_registry_that_hangs_is_given_up_within_its_deadline(answer: Callable[[], Answer]) -> None:
    started = time.monotonic()
    async with FakeRegistry() as registry, source(registry, timeout_s=0.3) as repository:
        registry.faults.append(always("manifests", answer))
        with pytest.raises(RegistryUnavailableError):
            await repository.manifest(digest_of(b""))
    assert time.monotonic() - started < 2


async def test_a_manifest_that_breaks_off_is_unavailable() -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        registry.faults.append(always("manifests", lambda: Answer(200, b"x" * 100, cut_at=50)))
        with pytest.raises(RegistryUnavailableError):
            await repository.manifest(digest_of(b"x" * 100))


async def test_a_registry_that_is_not_there_is_unavailable() -> None:
    async with FakeRegistry() as registry:
        pass
    async with source(registry) as repository:
        with pytest.raises(RegistryUnavailableError, match="cannot be read"):
            await repository.manifest("1.4")


@pytest.mark.parametrize(
    "body",
    [
        b'{"errors": [{"code": "DENIED", "message": "because"}]}',
        b'{"errors": [1]}',
        b'{"errors": 7}',
        b"[]",
        b"[" * 8000,
        b"\xff\xfe",
        b"",
    ],
)
async def test_any_error_body_gives_the_error_of_its_status(body: bytes) -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        registry.faults.append(always("manifests", lambda: Answer(403, body)))
        with pytest.raises(RegistryAuthError) as caught:
            await repository.manifest(digest_of(b""))
        assert ("DENIED because" in str(caught.value)) is (b"because" in body)


async def test_an_endless_error_body_is_not_read_to_its_end() -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        registry.faults.append(always("manifests", lambda: Answer(403, stream=endless())))
        with pytest.raises(RegistryAuthError, match="xxx"):
            await repository.manifest(digest_of(b""))


def test_the_cache_of_manifests_forgets_the_oldest() -> None:
    cache = ManifestCache(max_bytes=250)
    manifests = [RawManifest(digest_of(b"%d" % number), OCI_MANIFEST, b"x" * 100) for number in range(3)]
    for manifest in (manifests[0], manifests[0], *manifests[1:]):
        cache.put("r.example/a", manifest)
    assert [cache.get("r.example/a", manifest.digest) for manifest in manifests] == [None, *manifests[1:]]
    assert cache.get("r.example/b", manifests[1].digest) is None


# --- blobs ----------------------------------------------------------------------------------------------------

DATA = bytes(range(256)) * 2000


async def test_a_blob_is_streamed_as_stored() -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        digest = registry.push_blob(REPOSITORY, DATA)
        assert await fetch(repository, digest, len(DATA)) == DATA
        assert registry.requests[0].headers["accept-encoding"] == "identity"


async def test_an_empty_blob_is_read() -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        assert await fetch(repository, registry.push_blob(REPOSITORY, b""), 0) == b""


async def test_a_download_that_breaks_off_goes_on_where_it_stopped() -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        digest = registry.push_blob(REPOSITORY, DATA)
        registry.faults.append(times(1, "blobs", lambda: Answer(200, DATA, cut_at=100_000)))
        assert await fetch(repository, digest, len(DATA)) == DATA
        assert [r.headers.get("range") for r in registry.requests] == [None, "bytes=100000-"]


async def test_a_download_is_resumed_twice_at_most() -> None:
    def broken(request: ReceivedRequest) -> Answer | None:
        start = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        headers = {"Content-Range": f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"} if start else {}
        return Answer(206 if start else 200, DATA[start:], headers, cut_at=1000)

    async with FakeRegistry(faults=[broken]) as registry, source(registry) as repository:
        with pytest.raises(RegistryUnavailableError):
            await fetch(repository, digest_of(DATA), len(DATA))
        assert [r.headers.get("range") for r in registry.requests] == [None, "bytes=1000-", "bytes=2000-"]


async def test_a_download_that_breaks_off_where_ranges_are_unknown_is_unavailable() -> None:
    async with FakeRegistry(knows_ranges=False) as registry, source(registry) as repository:
        digest = registry.push_blob(REPOSITORY, DATA)
        registry.faults.append(times(1, "blobs", lambda: Answer(200, DATA, cut_at=1000)))
        with pytest.raises(RegistryUnavailableError, match="cannot go on"):
            await fetch(repository, digest, len(DATA))


@pytest.mark.parametrize("stated", ["bytes 0-9/10", "bytes 1001-9/10", "", "nonsense"])
async def test_a_resumed_part_from_another_place_is_corrupt(stated: str) -> None:
    def fault(request: ReceivedRequest) -> Answer:
        if "range" in request.headers:
            return Answer(206, DATA[1000:], {"Content-Range": stated})
        return Answer(200, DATA, cut_at=1000)

    async with FakeRegistry(faults=[fault]) as registry, source(registry) as repository:
        with pytest.raises(ImageCorruptError, match="another place"):
            await fetch(repository, digest_of(DATA), len(DATA))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda: Answer(200, b"x" * 10), id="announced-shorter"),
        pytest.param(lambda: Answer(200, b"x" * 1000), id="announced-longer"),
        pytest.param(lambda: Answer(200, stream=endless()), id="endless"),
        pytest.param(lambda: Answer(200, b"x" * 10, {"Connection": "close", "Content-Length": "many"}), id="no-length"),
    ],
)
async def test_a_blob_of_another_size_is_not_read_on(answer: Callable[[], Answer]) -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        registry.faults.append(always("blobs", answer))
        with pytest.raises((ImageCorruptError, RegistryUnavailableError)):
            await asyncio.wait_for(fetch(repository, digest_of(b""), 100), 5)


async def test_a_blob_that_trickles_is_given_up() -> None:
    started = time.monotonic()
    async with FakeRegistry() as registry, source(registry, timeout_s=0.3) as repository:
        registry.faults.append(always("blobs", lambda: Answer(200, stream=trickle())))
        with pytest.raises(RegistryUnavailableError, match="takes too long"):
            await fetch(repository, digest_of(b""), 10_000)
    assert time.monotonic() - started < 3


async def test_the_time_a_reader_takes_is_not_the_registrys() -> None:
    async with FakeRegistry() as registry, source(registry, timeout_s=0.2) as repository:
        digest = registry.push_blob(REPOSITORY, b"x" * 200_000)
        received = 0
        descriptor = Descriptor(media_type="a/b", digest=digest, size=200_000)
        async for chunk in repository.blob(descriptor):
            received += len(chunk)
            await asyncio.sleep(0.1 if received < 200_000 else 0)
        assert received == 200_000


async def test_a_download_that_is_not_read_to_its_end_leaves_no_connection_open() -> None:
    async with FakeRegistry() as registry, source(registry) as repository:
        registry.faults.append(always("blobs", lambda: Answer(200, stream=endless())))
        chunks = repository.blob(Descriptor(media_type="a/b", digest=digest_of(b""), size=1 << 40))
        assert await anext(chunks)
        await chunks.aclose()  # type: ignore[attr-defined]  # it is an async generator
        transport = repository._session._client._transport  # the pool has no public count of its connections
        assert transport._inner._pool.connections == []  # type: ignore[attr-defined]  # as above


async def test_no_log_line_holds_what_was_asked(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with FakeRegistry() as registry, source(registry) as repository:
        registry.push_image(REPOSITORY, tag="1.4")
        await repository.manifest("1.4")
    assert "200" in caplog.text
    assert "Accept" not in caplog.text


async def test_a_refused_registry_is_named_with_the_setting_that_allows_it() -> None:
    async with FakeRegistry() as registry:
        client = ImageClient(HttpFactory(), CredentialChain([]), RegistrySettings(), FixedClock())
        with pytest.raises(RegistryRefusedError) as caught:
            await client.repository(registry.host, REPOSITORY).manifest("1.4")
        await client.aclose()
    assert "loopback" in str(caught.value)
    assert "registries.allow_private" in str(caught.value)
    assert f"--insecure-registry {registry.host}" in str(caught.value)
    assert registry.requests == []
