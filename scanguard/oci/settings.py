"""Which registries may be talked to, and how."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from scanguard.errors import RegistryRefusedError
from scanguard.http import AddressPolicy
from scanguard.model.base import Model
from scanguard.model.image import Platform
from scanguard.model.secret import SecretRef
from scanguard.oci.names import canonical_registry

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def _host(text: str) -> str:
    host = text.strip().lower()
    if _HOST.fullmatch(host) is None:
        raise ValueError(f"{text!r} is no registry host: write host or host:port, without a scheme or a path")
    return host


def _host_or_network(text: str) -> str:
    if "/" not in text:
        return _host(text)
    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError as exc:
        raise ValueError(f"{text!r} is neither a host[:port] nor a network such as 10.0.0.0/8") from exc


def _platform(value: object) -> object:
    return Platform.parse(value) if isinstance(value, str) else value


RegistryHost = Annotated[str, AfterValidator(_host)]
HostOrNetwork = Annotated[str, AfterValidator(_host_or_network)]


class RegistryLogin(Model):
    """Who we are to one registry."""

    username: str = Field(min_length=1, max_length=1024, description="The user; `:` cannot stand in it.")
    password: SecretRef = Field(description="The password or access token, by reference: any secret store will do.")

    @field_validator("username")
    @classmethod
    def _can_be_sent(cls, value: str) -> str:
        if ":" in value or not value.isprintable():
            raise ValueError("a user has no colon and no control character (RFC 7617)")
        return value


class RegistrySettings(Model):
    """The ``registries`` section of the configuration.

    Image names come from whoever may deploy. So by default only https is spoken, and only with public
    addresses; a registry on this machine or in a private network is allowed by naming it.
    """

    insecure: tuple[RegistryHost, ...] = Field(
        default=(),
        description="Registries (host[:port]) spoken to over plain http. Being named here also allows a loopback "
        "or private address. The command line adds to it: --insecure-registry HOST.",
    )
    allow_private: bool | tuple[HostOrNetwork, ...] = Field(
        default=False,
        description="Where private, loopback and carrier-grade NAT addresses are allowed: true for everywhere, or a "
        "list of host[:port] and networks. Link-local addresses, such as cloud metadata services, only by network.",
    )
    allowed: tuple[str, ...] | None = Field(
        default=None,
        description="Registries images may come from, with * for any text (*.azurecr.io); null for any registry.",
    )
    realms: dict[RegistryHost, RegistryHost] = Field(
        default={},
        description="Token servers that may be given a registry's credentials, where they are another host than the "
        "registry: {registry: token server}.",
    )
    credentials: dict[RegistryHost, RegistryLogin] = Field(
        default={},
        description="User and password by registry: `{ghcr.io: {username: bot, password: keyvault:kv-security/ghcr}}`. "
        "They come before every other source of credentials.",
    )
    ca_file: Path | None = Field(default=None, description="Certificates (PEM) to trust besides the usual ones.")
    timeout_s: float = Field(
        default=30.0, gt=0, le=600, description="Longest wait for a manifest, a token, or the next bytes of a layer."
    )
    default_platform: Annotated[Platform, BeforeValidator(_platform)] = Field(
        default=Platform(), description="Platform of images whose deployment does not say, as os/architecture."
    )

    @field_validator("credentials")
    @classmethod
    def _one_each(cls, value: dict[str, RegistryLogin]) -> dict[str, RegistryLogin]:
        named = {canonical_registry(host): login for host, login in value.items()}
        if len(named) < len(value):
            raise ValueError("two of these names mean one registry (docker.io is Docker Hub's)")
        return named

    def with_insecure(self, hosts: Iterable[str]) -> Self:
        """The same with more registries spoken to over plain http; ValueError when one is no host."""
        return self.model_copy(update={"insecure": (*self.insecure, *map(_host, hosts))})

    def addresses(self) -> AddressPolicy:
        """The rule for every connection: to a registry, a token server, or where a registry redirects to."""
        return AddressPolicy.of(self.allow_private, self.insecure)

    def is_insecure(self, host: str) -> bool:
        """True when plain http may be spoken with ``host[:port]``."""
        return host.lower() in self.insecure

    def check_allowed(self, registry: str) -> None:
        """Raise RegistryRefusedError for a registry that the allow-list does not hold."""
        if self.allowed is None or any(fnmatchcase(registry.lower(), glob.lower()) for glob in self.allowed):
            return
        raise RegistryRefusedError(
            f"{registry} is not a registry that images may come from: registries.allowed does not hold it",
            target=registry,
        )
