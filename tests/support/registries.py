"""Real registries (Debian's docker-registry) on loopback: open, with passwords, and with bearer tokens."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from oci_archive import MANIFEST, Image
from parts import free_port, program, running
from token_server import TokenServer

USER, PASSWORD = "shop", "correct horse"
BEARER_REALM = "Bearer"


@dataclass(frozen=True, slots=True)
class Registry:
    """A running registry. ``host`` is what an image name begins with; ``auth`` is None where nobody is asked."""

    host: str
    auth: tuple[str, str] | None = None
    tokens: TokenServer | None = None

    @property
    def url(self) -> str:
        """Base address; plain http, loopback only."""
        return f"http://{self.host}"

    def push(self, image: Image, repository: str, tag: str) -> str:
        """Push an image and return the digest the registry answers."""
        with self.client(repository, "pull,push") as client:
            for digest, data in image.blobs.items():
                self._push_blob(client, repository, digest, data)
            path = f"/v2/{repository}/manifests/{tag}"
            answer = client.put(path, content=image.manifest, headers={"Content-Type": MANIFEST})
            return answer.raise_for_status().headers["docker-content-digest"]

    def client(self, repository: str, actions: str) -> httpx.Client:
        """A plain client that may do ``actions`` (``pull``, ``pull,push``) with a repository."""
        headers = {}
        if self.tokens is not None:
            token = self.tokens.issue(USER, f"repository:{repository}:{actions}")
            headers["Authorization"] = f"Bearer {token}"
        auth = None if self.tokens else self.auth
        return httpx.Client(base_url=self.url, auth=auth, headers=headers, timeout=30, trust_env=False)

    @staticmethod
    def _push_blob(client: httpx.Client, repository: str, digest: str, data: bytes) -> None:
        if client.head(f"/v2/{repository}/blobs/{digest}").status_code == httpx.codes.OK:
            return
        begun = client.post(f"/v2/{repository}/blobs/uploads/").raise_for_status()
        place = httpx.URL(begun.headers["location"]).copy_merge_params({"digest": digest})
        client.put(place, content=data, headers={"Content-Type": "application/octet-stream"}).raise_for_status()


@contextmanager
def open_registry(folder: Path) -> Iterator[Registry]:
    """A registry that asks nobody who they are."""
    with _started(folder, {}) as host:
        yield Registry(host)


@contextmanager
def basic_registry(folder: Path) -> Iterator[Registry]:
    """A registry that wants a user and a password (bcrypt, by the real htpasswd)."""
    command = [program("htpasswd", "apache2-utils"), "-Bbn", USER, PASSWORD]
    hashed = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603  # the real tool, a test's password
    users = folder / "htpasswd"
    users.write_bytes(hashed.stdout)
    with _started(folder, {"htpasswd": {"realm": "test", "path": str(users)}}) as host:
        yield Registry(host, auth=(USER, PASSWORD))


@contextmanager
def token_registry(folder: Path) -> Iterator[Registry]:
    """A registry that sends clients to a token server, as Azure's does."""
    with (
        TokenServer({USER: PASSWORD}).running() as tokens,
        registry_that_sends_to(folder, tokens, tokens.realm) as registry,
    ):
        yield registry


@contextmanager
def registry_that_sends_to(folder: Path, tokens: TokenServer, realm: str) -> Iterator[Registry]:
    """A registry that accepts what ``tokens`` signs, and sends whoever has none to ``realm``."""
    roots = folder / "roots.pem"
    roots.write_bytes(tokens.root_certificate)
    how = {"realm": realm, "service": tokens.service, "issuer": tokens.issuer, "rootcertbundle": str(roots)}
    with _started(folder, {"token": how}) as host:
        yield Registry(host, auth=(USER, PASSWORD), tokens=tokens)


@contextmanager
def _started(folder: Path, auth: dict[str, Any]) -> Iterator[str]:
    binary = program("docker-registry", "docker-registry")
    port = free_port()
    settings: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"inmemory": {}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "between-requests-only"},
    }
    if auth:
        settings["auth"] = auth
    config = folder / "registry.yml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    with running([binary, "serve", str(config)], port=port, log=folder / "registry.log"):
        yield f"127.0.0.1:{port}"
