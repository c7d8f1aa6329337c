"""A registry on loopback that keeps the distribution API's rules, and breaks them on demand.

Rules: https://github.com/opencontainers/distribution-spec/blob/main/spec.md (pull) and
https://distribution.github.io/distribution/spec/auth/token/.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_ROUTE = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)")
_RANGE = re.compile(r"bytes=(\d+)-")

Fault = Callable[[ReceivedRequest], Answer | None]
"""Looks at each request first; what it returns is sent instead of the rules' answer."""


def digest_of(data: bytes) -> str:
    """``sha256:`` and the hash of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest or index as pushed."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        """Its digest."""
        return digest_of(self.data)

    def descriptor(self, **more: object) -> dict[str, object]:
        """What an index says of it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data), **more}


@dataclass(slots=True)
class FakeRegistry:
    """Use it with ``async with``; push images, script faults, read :attr:`requests`.

    Attributes:
        auth: ``none``; ``basic``; or ``bearer``, with tokens from :attr:`realm` (its own ``/token`` by default).
            With ``bearer`` anonymous clients get a token too, one that opens only :attr:`public` repositories.
        username: Whose password opens everything.
        identity_token: Refresh token that opens everything.
        tls: Server-side context; plain HTTP without one.
        states_digest: False for a registry without ``Docker-Content-Digest``.
        knows_ranges: False for one that ignores ``Range``.
        expires_in: Life time stated with tokens; None leaves it out.
        token_field: Name of the field the token comes in.
    """

    auth: Literal["none", "basic", "bearer"] = "none"
    username: str = "robot"
    password: str = "canary-password"
    identity_token: str = "canary-identity-token"
    tls: ssl.SSLContext | None = None
    public: set[str] = field(default_factory=set)
    realm: str = ""
    service: str = "registry.test"
    states_digest: bool = True
    knows_ranges: bool = True
    expires_in: int | None = 300
    token_field: str = "token"
    faults: list[Fault] = field(default_factory=list)
    _manifests: dict[tuple[str, str], StoredManifest] = field(default_factory=dict)
    _blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    _tokens: dict[str, set[str]] = field(default_factory=dict)
    _server: LoopbackServer = field(init=False)

    def __post_init__(self) -> None:
        self._server = LoopbackServer(self._answer, tls=self.tls)

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.__aexit__(*exc)

    @property
    def host(self) -> str:
        """``127.0.0.1:port``: the registry part of image references."""
        return self._server.host

    @property
    def port(self) -> int:
        """The port."""
        return self._server.port

    @property
    def url(self) -> str:
        """``scheme://127.0.0.1:port``."""
        return self._server.url

    @property
    def requests(self) -> list[ReceivedRequest]:
        """Everything received, in order."""
        return self._server.requests

    @property
    def tokens(self) -> list[str]:
        """Every token handed out."""
        return list(self._tokens)

    def seen(self, method: str, part: str) -> list[ReceivedRequest]:
        """Requests of a method with a text in their target."""
        return [request for request in self.requests if request.method == method and part in request.target]

    def revoke_tokens(self) -> None:
        """Forget every token handed out: the next use of one is a 401."""
        self._tokens.clear()

    # --- content ---------------------------------------------------------------------------------------------

    def push_blob(self, repository: str, data: bytes) -> str:
        """Store a blob; returns its digest."""
        self._blobs[repository, digest_of(data)] = data
        return digest_of(data)

    def push_manifest(
        self, repository: str, content: Mapping[str, object] | bytes, *, tag: str | None = None, media_type: str = ""
    ) -> StoredManifest:
        """Store a manifest or index under its digest and, if given, a tag."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        own = "" if isinstance(content, bytes) else str(content.get("mediaType", ""))
        manifest = StoredManifest(media_type or own or OCI_MANIFEST, data)
        self._manifests[repository, manifest.digest] = manifest
        if tag is not None:
            self._manifests[repository, tag] = manifest
        return manifest

    def push_image(
        self,
        repository: str,
        *,
        tag: str | None = None,
        layers: Sequence[bytes] = (),
        os: str = "linux",
        architecture: str = "amd64",
        variant: str = "",
    ) -> StoredManifest:
        """Store an image made of uncompressed layer archives (tar), which are stored gzipped."""
        diff_ids = [digest_of(layer) for layer in layers]
        config = {"os": os, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        if variant:
            config["variant"] = variant
        stored = [gzip.compress(layer, mtime=0) for layer in layers]
        return self.push_manifest(
            repository,
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": self._blob_descriptor(repository, OCI_CONFIG, json.dumps(config).encode()),
                "layers": [self._blob_descriptor(repository, OCI_LAYER, layer) for layer in stored],
            },
            tag=tag,
        )

    def push_index(
        self, repository: str, entries: Sequence[Mapping[str, object]], *, tag: str | None = None
    ) -> StoredManifest:
        """Store an index over descriptors (:meth:`StoredManifest.descriptor`)."""
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}
        return self.push_manifest(repository, index, tag=tag)

    def _blob_descriptor(self, repository: str, media_type: str, data: bytes) -> dict[str, object]:
        return {"mediaType": media_type, "digest": self.push_blob(repository, data), "size": len(data)}

    # --- rules -----------------------------------------------------------------------------------------------

    async def _answer(self, request: ReceivedRequest) -> Answer:
        for fault in self.faults:
            if (broken := fault(request)) is not None:
                return broken
        if request.path == "/token":
            return self._token(request)
        route = _ROUTE.fullmatch(request.path)
        repository = route["repository"] if route else ""
        if refusal := self._refusal(request, repository):
            return refusal
        if route is None:
            return Answer(200, b"{}") if request.path == "/v2/" else error(404, "NAME_UNKNOWN")
        if route["kind"] == "manifests":
            return self._manifest(request, repository, route["reference"])
        return self._blob(request, repository, route["reference"])

    def _manifest(self, request: ReceivedRequest, repository: str, reference: str) -> Answer:
        manifest = self._manifests.get((repository, reference))
        if manifest is None or manifest.media_type not in request.headers.get("accept", ""):
            return error(404, "MANIFEST_UNKNOWN")
        headers = {"Content-Type": manifest.media_type}
        if self.states_digest:
            headers["Docker-Content-Digest"] = manifest.digest
        return Answer(200, manifest.data, headers)

    def _blob(self, request: ReceivedRequest, repository: str, digest: str) -> Answer:
        data = self._blobs.get((repository, digest))
        if data is None:
            return error(404, "BLOB_UNKNOWN")
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}
        wanted = _RANGE.fullmatch(request.headers.get("range", ""))
        if wanted is None or not self.knows_ranges:
            return Answer(200, data, headers)
        start = int(wanted[1])
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return Answer(206, data[start:], headers)

    def _refusal(self, request: ReceivedRequest, repository: str) -> Answer | None:
        sent = request.headers.get("authorization", "")
        if self.auth == "none" or (self.auth == "basic" and sent == self._basic()):
            return None
        scope = f"repository:{repository}:pull"
        if self.auth == "bearer" and scope in self._tokens.get(sent.removeprefix("Bearer "), set()):
            return None
        realm = self.realm or f"{self.url}/token"
        challenge = 'Basic realm="registry"'
        if self.auth == "bearer":
            challenge = f'Bearer realm="{realm}",service="{self.service}",scope="repository:{repository}:pull,push"'
        return error(401, "UNAUTHORIZED", {"WWW-Authenticate": challenge})

    def _token(self, request: ReceivedRequest) -> Answer:
        """The rules of a token server: a 200 with fewer rights than asked for is no error."""
        given = request.form if request.method == "POST" else {n: v[-1] for n, v in request.query.items()}
        sent = request.headers.get("authorization", "")
        if request.method == "POST":
            is_known = given.get("grant_type") == "refresh_token" and given.get("refresh_token") == self.identity_token
        else:
            is_known = sent == self._basic()
        if (sent or request.method == "POST") and not is_known:
            return error(401, "UNAUTHORIZED")
        if given.get("service") != self.service:
            return error(400, "SERVICE_UNKNOWN")
        scope = given.get("scope", "")
        repository = scope.removeprefix("repository:").rpartition(":")[0]
        token = f"canary-token-{len(self._tokens)}"
        self._tokens[token] = {scope} if is_known or repository in self.public else set()
        answer: dict[str, object] = {self.token_field: token}
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        return Answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def error(status: int, code: str, headers: Mapping[str, str] | None = None, message: str = "refused") -> Answer:
    """An error in the distribution API's form."""
    body = json.dumps({"errors": [{"code": code, "message": message, "detail": None}]}).encode()
    return Answer(status, body, {"Content-Type": "application/json", **(headers or {})})


def times(count: int, part: str, answer: Callable[[], Answer], *, method: str = "") -> Fault:
    """A fault for the first ``count`` requests whose target holds ``part``; then the rules apply again."""
    left = count

    def fault(request: ReceivedRequest) -> Answer | None:
        nonlocal left
        if left <= 0 or part not in request.target or method not in ("", request.method):
            return None
        left -= 1
        return answer()

    return fault


def always(part: str, answer: Callable[[], Answer], *, method: str = "") -> Fault:
    """A fault for every request whose target holds ``part``."""
    return times(1 << 30, part, answer, method=method)
