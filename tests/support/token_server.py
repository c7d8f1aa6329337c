"""A token server for registries: https://distribution.github.io/distribution/spec/auth/token/, and its OAuth2 form.

It signs RS256 tokens whose ``x5c`` header leads to a certificate the registry was told to trust, and keeps what
it was asked.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import trustme
import uvicorn
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TOKEN_LIFETIME_S = 300
START_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for a token: how, by whom (empty: anonymous), for what, and what they were given."""

    method: str
    user: str
    scope: str
    status: int


@dataclass
class TokenServer:
    """Gives tokens to ``users`` (name to password), for any repository; anonymous callers may pull ``public/*``."""

    users: Mapping[str, str]
    issuer: str = "scanguard tests"
    service: str = "registry.test"
    realm: str = ""
    asked: list[Asked] = field(default_factory=list)
    refresh_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    """An identity token: exchanged at the OAuth2 form of the endpoint, as Azure's registry does."""

    def __post_init__(self) -> None:
        authority = trustme.CA(key_type=trustme.KeyType.RSA)
        leaf = authority.issue_cert("token.test", key_type=trustme.KeyType.RSA)
        key = load_pem_private_key(leaf.private_key_pem.bytes(), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("trustme made no RSA key")
        self._key = key
        certificate = load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())
        self._x5c = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()]
        self.root_certificate = authority.cert_pem.bytes()

    def issue(self, user: str, scope: str) -> str:
        """A signed token for the repositories and actions of ``scope``."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": user,
            "aud": self.service,
            "iat": now - 10,
            "nbf": now - 10,
            "exp": now + TOKEN_LIFETIME_S,
            "jti": secrets.token_hex(8),
            "access": _access(scope),
        }
        head = {"typ": "JWT", "alg": "RS256", "x5c": self._x5c}
        signed = f"{_segment(head)}.{_segment(claims)}"
        return f"{signed}.{_base64url(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    @contextmanager
    def running(self) -> Iterator[TokenServer]:
        """Serve on a loopback port while the block lasts; ``realm`` is then its address."""
        app = Starlette(
            routes=[Route("/oauth2/token", self._get), Route("/oauth2/token", self._post, methods=["POST"])]
        )
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        end = time.monotonic() + START_TIMEOUT_S
        while not server.started:
            if time.monotonic() > end or not thread.is_alive():
                raise RuntimeError("the token server does not start")
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        self.realm = f"http://127.0.0.1:{port}/oauth2/token"
        try:
            yield self
        finally:
            server.should_exit = True
            thread.join(START_TIMEOUT_S)

    async def _get(self, request: Request) -> Response:
        user, password = _basic(request.headers.get("authorization", ""))
        return self._answer("GET", request.query_params, user, known=self.users.get(user) == password)

    async def _post(self, request: Request) -> Response:
        fields = dict(parse_qsl((await request.body()).decode()))
        match fields.get("grant_type"):
            case "refresh_token":
                known, user = fields.get("refresh_token") == self.refresh_token, "refresh-token"
            case "password":
                user = fields.get("username", "")
                known = self.users.get(user) == fields.get("password")
            case _:
                return JSONResponse({"error": "unsupported_grant_type"}, status_code=400)
        return self._answer("POST", fields, user, known=known)

    def _answer(self, method: str, fields: Mapping[str, str], user: str, *, known: bool) -> Response:
        scope = fields.get("scope", "")
        status = 200
        if fields.get("service") != self.service:
            status = 400
        elif not known and (user or not _is_public_pull(scope)):
            status = 401
        self.asked.append(Asked(method, user, scope, status))
        if status != 200:
            return JSONResponse({"errors": [{"code": "UNAUTHORIZED", "message": "no"}]}, status_code=status)
        token = self.issue(user, scope)
        name = "access_token" if method == "POST" else "token"
        return JSONResponse({name: token, "expires_in": TOKEN_LIFETIME_S})


def _access(scope: str) -> list[dict[str, Any]]:
    parts = [one.rsplit(":", 1) for one in scope.split() if one.count(":") >= 2]
    named = [(*subject.split(":", 1), actions) for subject, actions in parts]
    return [{"type": kind, "name": name, "actions": actions.split(",")} for kind, name, actions in named]


def _is_public_pull(scope: str) -> bool:
    return all(entry["name"].startswith("public/") and entry["actions"] == ["pull"] for entry in _access(scope))


def _basic(header: str) -> tuple[str, str]:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    user, _, password = base64.b64decode(value).decode().partition(":")
    return user, password


def _segment(value: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
