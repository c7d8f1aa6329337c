"""Options of the notifier ``webhook``, and the rules for where it may send."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from scanguard.hooks import PluginConfig
from scanguard.http import AddressPolicy
from scanguard.model.secret import SecretRef
from scanguard.oci.settings import HostOrNetwork

MIN_BYTES: Final = 32 * 1024
"""Smallest limit on a payload: what is always sent (see ``webhook_content``) needs at most 28 KiB."""
SEND_TIMEOUT_S: Final = 60.0
"""The engine's bound on one send: the longest ``timeout_s``, and time to build the message."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PRINTABLE: Final = re.compile(r"[\x20-\x7e]+")
_CREDENTIAL: Final = re.compile(r"auth|cookie|token|secret|passw|api-?key|access-?key|signature|sas-key", re.IGNORECASE)
_RESERVED: Final = frozenset(
    ("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "te", "upgrade")
)
_RESERVED_PREFIXES: Final = ("webhook-", "ce-")


def check_url(url: str, *, insecure: bool) -> str:
    """Accept an address to send to; ValueError, without its text, says what is wrong with it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("this is no URL: write https://host/path") from None
    if parts.scheme not in ("https", "http") or not host or not _PRINTABLE.fullmatch(url) or " " in url:
        raise ValueError("this is no URL: write https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("no user or password in the URL: write `headers: {Authorization: env:NAME}`")
    if parts.scheme == "http" and not (insecure or is_loopback(host)):
        raise ValueError("plain http shows every notice to the network: write https, or `insecure: true`")
    return url


def is_loopback(host: str) -> bool:
    """Whether a host says by itself that it is this machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_header_value(value: str) -> str:
    """Accept the value of a header; ValueError, without the value, for one that would break the request."""
    if _PRINTABLE.fullmatch(value) is None or value != value.strip():
        raise ValueError("a header's value is one line of printable ASCII without space around it")
    return value


def _url_or_reference(value: object) -> object:
    if not isinstance(value, str) or value.lower().startswith(("https://", "http://")):
        return value
    if "://" in value:
        raise ValueError("this is no URL: write https://host/path")
    try:
        return SecretRef(value)
    except ValueError:
        raise ValueError("write https://host/path, or a reference such as env:NAME") from None


class WebhookConfig(PluginConfig):
    """Where notices go, how they are signed, and what they hold."""

    insecure: bool = Field(default=False, description="Allow plain http to other hosts than this machine.")
    url: Annotated[str | SecretRef, Field(union_mode="left_to_right"), BeforeValidator(_url_or_reference)] = Field(
        description="Where to send: an https URL, or a reference to one (`env:NAME`) when it holds a token."
    )
    secrets: tuple[SecretRef, ...] = Field(
        default=(),
        max_length=5,
        description="References to the signing secrets (`whsec_` and base64). All of them sign: while a secret is "
        "changed, name the new one and the old one.",
    )
    unsigned: bool = Field(
        default=False,
        validate_default=True,
        description="Send without a signature; must be said when there are no `secrets`.",
    )
    headers: Mapping[str, Annotated[SecretRef | str, Field(union_mode="left_to_right")]] = Field(
        default={},
        max_length=20,
        description="More headers: plain values, or references (`Authorization: env:NAME`).",
    )
    mode: Literal["structured", "binary"] = Field(
        default="structured",
        description="`structured`: the event is the body. `binary`: the body is the event's data, and its attributes "
        "are `ce-` headers, which no signature covers.",
    )
    detail: Literal["summary", "full"] = Field(
        default="summary", description="`summary`: the verdict and the top findings. `full`: the merged reports too."
    )
    max_findings: int = Field(default=20, ge=0, le=10_000, description="Most findings in the summary.")
    max_bytes: int = Field(
        default=256 * 1024,
        ge=MIN_BYTES,
        le=16 * 1024 * 1024,
        description="Most bytes of a body. What does not fit is left out from the end, and the data says so.",
    )
    timeout_s: float = Field(default=15.0, gt=0, le=50, description="Seconds one attempt may take in all.")
    source: str = Field(
        default="urn:scanguard",
        pattern=r"^[!-~]{1,256}$",
        description="The event's `source` (a URI): tells several installations of scanguard apart.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="Certificates (PEM) to trust besides the usual ones; relative to the configuration file.",
    )
    allow_private: bool | tuple[HostOrNetwork, ...] = Field(
        default=False,
        description="Whether the URL may lead to a private or loopback address: true, or a list of host[:port] and "
        "networks. A URL whose host is this machine by name needs no permission.",
    )

    @field_validator("url")
    @classmethod
    def _safe_url(cls, url: str | SecretRef, info: ValidationInfo) -> str | SecretRef:
        return check_url(url, insecure=info.data.get("insecure", False)) if isinstance(url, str) else url

    @field_validator("unsigned")
    @classmethod
    def _signed_or_said(cls, unsigned: bool, info: ValidationInfo) -> bool:
        secrets = info.data.get("secrets")
        if secrets and unsigned:
            raise ValueError("there are `secrets`: take out one or the other")
        if secrets == () and not unsigned:
            raise ValueError("give `secrets` to sign with, or say `unsigned: true`")
        return unsigned

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: Mapping[str, SecretRef | str]) -> Mapping[str, SecretRef | str]:
        for name, value in headers.items():
            if _TOKEN.fullmatch(name) is None:
                raise ValueError("a header's name is letters, digits and hyphens")
            if name.lower() in _RESERVED or name.lower().startswith(_RESERVED_PREFIXES):
                raise ValueError(f"the header {name} is set by scanguard")
            if isinstance(value, str) and _CREDENTIAL.search(name):
                raise ValueError(f"the header {name} holds a secret: give a reference, such as env:NAME")
            if isinstance(value, str):
                check_header_value(value)
        if len({name.lower() for name in headers}) < len(headers):
            raise ValueError("a header is given twice; upper and lower case are the same")
        return headers

    def addresses(self, url: str) -> AddressPolicy:
        """Where a connection for this URL may lead; see ``allow_private``."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        return AddressPolicy.of(self.allow_private, {host} if is_loopback(host) else ())
