"""Key Vault's secrets over TLS, as its REST interface says; notes whatever a client does against the rules.

https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret and, for the challenge,
https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses.
"""

from __future__ import annotations

import json
import ssl
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final, Self

from managed_identity import TENANT, claims_of

from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

RESOURCE: Final = "https://vault.azure.net"
JSON: Final = {"Content-Type": "application/json; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a secret; seconds since 1970."""

    value: str
    version: str
    enabled: bool = True
    nbf: int | None = None
    exp: int | None = None


class VaultSimulator:
    """Every vault of a cloud.

    Attributes:
        resource: What its challenge asks a token for.
        answer: Sent instead, to whoever is authenticated.
        hangs: Names of secrets that are never answered.
        asked: Vault, secret and version of each authenticated request.
        violations: What clients did against the rules; a test ends with none.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._secrets: dict[tuple[str, str], list[Version]] = defaultdict(list)
        self.server = LoopbackServer(self._answer, tls=tls)
        self.resource = RESOURCE
        self.answer: Answer | None = None
        self.hangs: set[str] = set()
        self.asked: list[tuple[str, str, str]] = []
        self.violations: list[str] = []

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.server.__aexit__(*exc)

    def put(self, vault: str, name: str, value: str, **attributes: Any) -> str:
        """A new version; its id."""
        versions = self._secrets[vault, name]
        versions.append(Version(value, f"{len(versions) + 1:032x}", **attributes))
        return versions[-1].version

    def drop(self, vault: str, name: str) -> None:
        """The secret is deleted."""
        del self._secrets[vault, name]

    async def _answer(self, request: ReceivedRequest) -> Answer:
        host = request.headers.get("host", "")
        if not self._is_right(request, host):
            return error(400, "BadParameter")
        vault = host.partition(".")[0]
        _, _, name, *rest = request.path.split("/")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        claims = claims_of(token) if scheme == "Bearer" else None
        if claims is None or claims["aud"] != RESOURCE:
            if token and claims is not None:
                self.violations.append(f"a token for {claims['aud']}")
            return self._challenge()
        version = rest[0] if rest else ""
        self.asked.append((vault, name, version))
        if name in self.hangs:
            return Answer.hanging()
        return self.answer or self._found(vault, name, version)

    def _is_right(self, request: ReceivedRequest, host: str) -> bool:
        wrong = [
            (request.method != "GET", f"method {request.method}"),
            (not host.endswith(".vault.azure.net"), f"host {host}"),
            (not request.path.startswith("/secrets/"), f"path {request.path}"),
            ("api-version" not in request.query, "no api-version"),
            (request.body != b"", "a body"),
        ]
        found = [what for is_wrong, what in wrong if is_wrong]
        self.violations += found
        return not found

    def _challenge(self) -> Answer:
        how = f'Bearer authorization="https://login.windows.net/{TENANT}", resource="{self.resource}"'
        return error(401, "Unauthorized", headers={"WWW-Authenticate": how})

    def _found(self, vault: str, name: str, version: str) -> Answer:
        versions = [one for one in self._secrets.get((vault, name), []) if version in ("", one.version)]
        if not versions:
            return error(404, "SecretNotFound")
        newest = versions[-1]
        if not newest.enabled:
            return error(403, "Forbidden", inner="SecretDisabled")
        attributes = {"enabled": True, "created": 1, "updated": 1, "nbf": newest.nbf, "exp": newest.exp}
        document = {
            "value": newest.value,
            "id": f"https://{vault}.vault.azure.net/secrets/{name}/{newest.version}",
            "attributes": {key: value for key, value in attributes.items() if value is not None},
        }
        return Answer(200, json.dumps(document).encode(), JSON)


def error(status: int, code: str, *, inner: str = "", headers: dict[str, str] | None = None) -> Answer:
    """An error as Key Vault writes it; its message names whoever asked."""
    said: dict[str, Any] = {"code": code, "message": "Caller: appid=11111111;oid=22222222;name=someone@example.com"}
    if inner:
        said["innererror"] = {"code": inner}
    return Answer(status, json.dumps({"error": said}).encode(), {**JSON, **(headers or {})})
