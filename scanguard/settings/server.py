"""Settings of ``scanguard serve``: where it listens, who may ask, and how much."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from scanguard.model.base import Model
from scanguard.model.secret import SecretRef

Permission = Literal["events", "read", "replay"]
"""``events`` may send events in, ``read`` may read verdicts, ``replay`` may take up again what was given up."""
PUBLIC_CLOUD: Final = "https://login.microsoftonline.com"
_GUID: Final = r"^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$"

Guid = Annotated[str, StringConstraints(pattern=_GUID, to_lower=True)]


def is_loopback(host: str) -> bool:
    """Whether a host to listen on, or a URL's host, is reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _secret_alone(value: object) -> object:
    return value if isinstance(value, Mapping) else {"secret": value}


def _id_alone(value: object) -> object:
    return {"id": value} if isinstance(value, str) else value


class ServerKey(Model):
    """A shared key; a plain reference is short for one that may send events."""

    secret: SecretRef = Field(description="The key, by reference.")
    allow: tuple[Permission, ...] = Field(default=("events",), min_length=1, description="What it is good for.")


class ServerApplication(Model):
    """An application of the tenant; a plain id is short for one that may send events."""

    id: Guid = Field(description="Application (client) id.")
    allow: tuple[Permission, ...] = Field(
        default=("events",), min_length=1, description="What its tokens are good for."
    )


class EntraSettings(Model):
    """Whose Microsoft Entra tokens are believed."""

    tenant: Guid = Field(description="Tenant id.")
    audiences: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = Field(
        min_length=1, description="Application id and App ID URI of this service, as tokens name it."
    )
    applications: tuple[Annotated[ServerApplication, BeforeValidator(_id_alone)], ...] = Field(
        min_length=1, description="Applications whose tokens are accepted."
    )
    authority: str = Field(default=PUBLIC_CLOUD, description="Where the tenant's signing keys are.")
    issuers: tuple[str, ...] = Field(default=(), description="Issuers instead of the public cloud's two.")
    leeway_s: int = Field(default=60, ge=0, le=300, description="Seconds that clocks may differ.")

    @model_validator(mode="after")
    def _authority_is_safe(self) -> Self:
        url = urlsplit(self.authority)
        host = url.hostname or ""
        if not host or (url.scheme != "https" and not (url.scheme == "http" and is_loopback(host))):
            raise ValueError("authority is an https URL: whoever answers there decides which tokens are believed")
        return self

    @property
    def accepted_issuers(self) -> tuple[str, ...]:
        """As version 1 and version 2 tokens name their issuer.

        See https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference.
        """
        return self.issuers or (
            f"https://sts.windows.net/{self.tenant}/",
            f"{self.authority.rstrip('/')}/{self.tenant}/v2.0",
        )

    @property
    def keys_url(self) -> str:
        """Where the tenant's signing keys are published."""
        return f"{self.authority.rstrip('/')}/{self.tenant}/discovery/v2.0/keys"


class ServerSettings(Model):
    """The HTTP service; durations in seconds, rates in requests per second."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65_535, description="Port; 0 takes a free one.")
    keys: tuple[Annotated[ServerKey, BeforeValidator(_secret_alone)], ...] = Field(
        default=(), description="Shared keys; several, so that one can be replaced while the other is in use."
    )
    entra: EntraSettings | None = Field(default=None, description="Microsoft Entra tokens.")
    webhook_origins: tuple[str, ...] = Field(
        default=("eventgrid.azure.net",), description="Senders that the CloudEvents handshake lets in."
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="Addresses or networks whose X-Forwarded-For is believed."
    )
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024, le=1024 * 1024, description="Longest request body.")
    max_header_bytes: int = Field(default=32_768, ge=4096, le=262_144, description="Longest request head.")
    header_timeout_s: float = Field(default=10.0, gt=0, le=120, description="Time for a request's head to arrive.")
    body_timeout_s: float = Field(default=10.0, gt=0, le=120, description="Time for a request's body to arrive.")
    store_timeout_s: float = Field(default=20.0, gt=0, le=120, description="Time for the store to take or give.")
    keep_alive_s: int = Field(default=15, ge=1, le=600, description="How long an idle connection is kept.")
    shutdown_s: int = Field(default=20, ge=1, le=600, description="Time for requests in hand when told to stop.")
    max_connections: int = Field(default=512, ge=1, le=65_536, description="Most connections open at once.")
    max_concurrent: int = Field(default=64, ge=1, le=10_000, description="Most authenticated requests at once.")
    rate_per_s: float = Field(default=500.0, gt=0, le=1e6, description="Authenticated requests, of all clients.")
    client_rate_per_s: float = Field(default=200.0, gt=0, le=1e6, description="Requests of one client's address.")

    @property
    def is_open(self) -> bool:
        """Whether nobody has to show anything."""
        return not self.keys and self.entra is None

    def with_address(self, host: str | None, port: int | None) -> ServerSettings:
        """The same, listening where the command line says."""
        given: dict[str, Any] = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
        return self.model_copy(update=given)
